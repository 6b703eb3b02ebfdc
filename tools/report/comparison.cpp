// Puts the comparison's page together.
#include "tools/report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/codec.h"
#include "engine/core/error.h"
#include "tools/report/comparison_charts.h"
#include "tools/report/html.h"
#include "tools/report/markup.h"
#include "tools/report/outlined.h"
#include "tools/report/sections.h"
#include "tools/report/ticks.h"

namespace dermatome::report {
namespace {

constexpr std::size_t kDifferentPhotographs = 6;
constexpr int kJpegQuality = 82;
constexpr double kDifferenceWidth = 260;

std::string name_html(const std::vector<ReportData>& runs, std::size_t r) {
  return fmt::format("<span class=\"swatch {}\"></span><span class=\"id\">{}</span>", run_class(r),
                     escape(runs[r].run));
}

const Metric* metric_named(const ReportData& run, const std::string& name) {
  const auto found =
      std::find_if(run.metrics.begin(), run.metrics.end(), [&](const Metric& m) { return m.name == name; });
  return found == run.metrics.end() ? nullptr : &*found;
}

std::string signed_value(double value) {
  if (!std::isfinite(value)) return "–";
  return (value > 0 ? "+" : "") + fixed(value, 4);
}

std::string interval_text(const std::optional<double>& low, const std::optional<double>& high, int decimals) {
  if (!low || !high) return "–";
  return fmt::format("{} to {}", fixed(*low, decimals), fixed(*high, decimals));
}

// What the interval allows to say.
std::string verdict(const Difference& d) {
  if (d.photographs == 0) return "no photograph in common";
  if (!d.low || !d.high) return "one photograph says nothing";
  if (*d.low > 0) return "<strong>higher</strong>: the interval lies above 0";
  if (*d.high < 0) return "<strong>lower</strong>: the interval lies below 0";
  return "not told apart: the interval holds 0";
}

std::string key_html(const std::vector<ReportData>& runs) {
  std::string html = fmt::format("<div class=\"runs-head\" style=\"--runs: {}\">", runs.size());
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const Metric* jaccard = metric_named(runs[r], "Jaccard");
    const EpochRow* best = best_epoch(runs[r]);
    std::string below = "not evaluated";
    double value = kMissing;
    if (jaccard) {
      value = jaccard->mean;
      below = jaccard->low && jaccard->high
                  ? fmt::format("95 % interval {}", interval_text(jaccard->low, jaccard->high, 3))
                  : "of one photograph";
    } else if (best) {
      value = best->validation_jaccard;
      below = fmt::format("validation, epoch {}", best->epoch);
    }
    html += fmt::format(
        "<div class=\"run-card {}\"><h2 class=\"id\">{}</h2><div class=\"value\">{}</div><div class=\"range\">Jaccard; "
        "{}"
        "</div></div>",
        run_class(r), escape(runs[r].run), fixed(value, 3), below);
  }
  return html + "</div>\n";
}

std::string metrics_html(const std::vector<ReportData>& runs) {
  std::vector<std::string> names;
  for (const auto& run : runs) {
    for (const auto& metric : run.metrics) {
      if (std::find(names.begin(), names.end(), metric.name) == names.end()) names.push_back(metric.name);
    }
  }
  if (names.empty()) return "<p class=\"empty\">No run has been evaluated.</p>\n";
  std::string html = "<div class=\"table-scroll\"><table class=\"compare\"><thead><tr><th scope=\"col\">run</th>";
  for (const auto& name : names) html += fmt::format("<th scope=\"col\" class=\"number\">{}</th>", escape(name));
  html += "<th scope=\"col\" class=\"number\">photographs</th></tr></thead><tbody>";
  for (std::size_t r = 0; r < runs.size(); ++r) {
    html += fmt::format("<tr><th scope=\"row\">{}</th>", name_html(runs, r));
    for (const auto& name : names) {
      const Metric* metric = metric_named(runs[r], name);
      html += fmt::format("<td class=\"number\">{}<span class=\"interval-text\">{}</span></td>",
                          fixed(metric ? metric->mean : kMissing, 4),
                          metric ? interval_text(metric->low, metric->high, 3) : "");
    }
    html += fmt::format("<td class=\"number\">{}</td></tr>\n", count(runs[r].images.size()));
  }
  return html + "</tbody></table></div>\n";
}

// What an ablation changed, as far as a cell of a table can hold it.
std::string differing_html(const ReportData& first, const ReportData& other) {
  constexpr std::size_t kShown = 4;
  const auto settings = differing_settings({first, other});
  if (settings.empty()) return "none";
  std::string html;
  for (std::size_t i = 0; i < std::min(kShown, settings.size()); ++i) {
    html += fmt::format("{}{} {} <span class=\"soft\">not {}</span>", i > 0 ? "<br>" : "", escape(settings[i].name),
                        escape(settings[i].values[1]), escape(settings[i].values[0]));
  }
  if (settings.size() > kShown)
    html += fmt::format("<br><a href=\"#settings\">and {} more</a>", settings.size() - kShown);
  return html;
}

std::string differences_html(const std::vector<ReportData>& runs) {
  std::vector<Difference> differences;
  double reach = 0.01;
  for (std::size_t r = 1; r < runs.size(); ++r) {
    differences.push_back(difference(runs[0].images, runs[r].images));
    for (const double end : {differences.back().low.value_or(0), differences.back().high.value_or(0)}) {
      reach = std::max(reach, std::abs(end) * 1.1);
    }
  }
  std::string html = fmt::format(
      "<h3 class=\"table-title\">Difference of the Jaccard index from {}</h3>"
      "<div class=\"table-scroll\"><table class=\"compare\"><thead><tr><th scope=\"col\">run</th>"
      "<th scope=\"col\" class=\"number\">mean difference</th><th scope=\"col\" class=\"number\">95 % interval</th>"
      "<th class=\"plot\"><span class=\"visually-hidden\">drawing of the interval</span></th>"
      "<th scope=\"col\" class=\"number\">higher / lower</th><th scope=\"col\">so this run is</th><th "
      "scope=\"col\">its settings that differ</th></tr></thead><tbody>",
      name_html(runs, 0));
  for (std::size_t r = 1; r < runs.size(); ++r) {
    const Difference& d = differences[r - 1];
    html += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"number mean\">{}</td><td class=\"number\">{}</td><td "
        "class=\"plot\">{}"
        "</td><td class=\"number\">{} / {} of {}</td><td>{}</td><td class=\"settings-that-differ\">{}</td></tr>\n",
        name_html(runs, r), signed_value(d.mean),
        d.low && d.high ? fmt::format("{} to {}", signed_value(*d.low), signed_value(*d.high)) : "–",
        d.low && d.high ? difference_drawing(d.mean, *d.low, *d.high, reach, kDifferenceWidth, 22) : "",
        count(d.higher), count(d.lower), count(d.photographs), verdict(d), differing_html(runs[0], runs[r]));
  }
  return html +
         "</tbody></table></div>\n<p class=\"remark\">Paired: each photograph's difference between the two runs is "
         "resampled, so "
         "what makes a photograph hard for both cancels out.</p>\n";
}

std::string settings_html(const std::vector<ReportData>& runs) {
  const auto settings = differing_settings(runs);
  if (settings.empty()) return "<p class=\"empty\">The runs have the same settings.</p>\n";
  std::string html =
      "<div class=\"table-scroll\"><table class=\"compare settings-table\"><thead><tr><th scope=\"col\">setting</th>";
  for (std::size_t r = 0; r < runs.size(); ++r) html += fmt::format("<th scope=\"col\">{}</th>", name_html(runs, r));
  html += "</tr></thead><tbody>";
  for (const auto& setting : settings) {
    html += fmt::format("<tr><th scope=\"row\">{}</th>", escape(setting.name));
    for (const auto& value : setting.values) html += fmt::format("<td>{}</td>", escape(value));
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

double median_speed(const ReportData& run) {
  std::vector<double> speeds;
  for (const auto& row : run.epochs) {
    if (std::isfinite(row.images_per_second)) speeds.push_back(row.images_per_second);
  }
  if (speeds.empty()) return kMissing;
  std::sort(speeds.begin(), speeds.end());
  return speeds[speeds.size() / 2];
}

std::string timing_html(const std::vector<ReportData>& runs) {
  std::string html =
      "<div class=\"table-scroll\"><table class=\"compare\"><thead><tr><th scope=\"col\">run</th>"
      "<th scope=\"col\" class=\"number\">epochs</th><th scope=\"col\" class=\"number\">best epoch</th>"
      "<th scope=\"col\" class=\"number\">time in epochs</th><th scope=\"col\" class=\"number\">images/s, "
      "median</th></tr>"
      "</thead><tbody>";
  for (std::size_t r = 0; r < runs.size(); ++r) {
    double seconds = 0;
    for (const auto& row : runs[r].epochs) seconds += std::isfinite(row.seconds) ? row.seconds : 0;
    const EpochRow* best = best_epoch(runs[r]);
    html += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td><td "
        "class=\"number\">{}</td>"
        "<td class=\"number\">{}</td></tr>\n",
        name_html(runs, r), runs[r].epochs.size(), best ? std::to_string(best->epoch) : "–",
        runs[r].epochs.empty() ? "–" : duration(seconds), significant(median_speed(runs[r])));
  }
  return html + "</tbody></table></div>\n";
}

std::string picture_html(const std::vector<ReportData>& runs, std::size_t r, const ReportImage& image) {
  std::string picture = "<div class=\"no-photograph\">no photograph</div>";
  if (!image.photograph.pixels.empty()) {
    const data::Image drawn = outlined(image);
    picture = fmt::format(
        "<label><input type=\"checkbox\" aria-label=\"Enlarge photograph {0} of {1}\"><img src=\"{2}\" width=\"{3}\" "
        "height=\"{4}\" alt=\"Photograph {0} with the outline of {1}; Jaccard index {5}\"></label>",
        escape(image.id), escape(runs[r].run), data_uri("image/jpeg", data::encode_jpeg(drawn, kJpegQuality)),
        drawn.width, drawn.height, fixed(image.jaccard, 3));
  }
  return fmt::format(
      "<figure class=\"picture\">{}<figcaption><div class=\"{}\">{}</div><span class=\"detail\">{}</span></figcaption>"
      "</figure>",
      picture, image.jaccard < kJaccardThreshold ? "score missed" : "score", fixed(image.jaccard, 3),
      name_html(runs, r));
}

std::string pictures_html(const std::vector<ReportData>& runs) {
  const auto chosen = most_different(runs, kDifferentPhotographs);
  if (chosen.empty()) return {};
  std::string html =
      "<section id=\"photographs\"><h2>Photographs on which the runs differ most</h2>\n<p class=\"intro\">The number "
      "is the "
      "Jaccard index.<span class=\"on-screen\"> Select a photograph to enlarge it.</span></p>"
      "<ul class=\"outline-legend\"><li><span class=\"chip truth\"></span>true</li><li><span class=\"chip "
      "prediction\"></span>predicted</li><li><span class=\"chip shared\"></span>both</li></ul>\n<div "
      "class=\"different-photographs\">";
  for (const auto& indices : chosen) {
    html += fmt::format(
        "<div class=\"picture-group\"><h3 class=\"id\">{}</h3><div class=\"pictures beside\" style=\"--runs: {}\">",
        escape(runs[0].images[indices[0]].id), runs.size());
    for (std::size_t r = 0; r < runs.size(); ++r) html += picture_html(runs, r, runs[r].images[indices[r]]);
    html += "</div></div>\n";
  }
  return html + "</div></section>\n";
}

std::string charts_html(const std::vector<ReportData>& runs) {
  std::string html =
      "<section id=\"training\"><h2>Training</h2>\n<p class=\"intro\">Over the epochs of each run.</p><div "
      "class=\"charts\">\n";
  for (const auto& named : training_figures(runs)) html += figure_html(named.figure);
  return html + "</div></section>\n";
}

std::string quality_html(const std::vector<ReportData>& runs) {
  std::string html =
      "<section id=\"quality\"><h2>Quality</h2>\n<p class=\"intro\">Means over the photographs that each run was "
      "scored on, "
      "with 95 % bootstrap intervals.</p>\n";
  html += metrics_html(runs) + differences_html(runs) + "<div class=\"charts\">\n";
  for (const auto& named : quality_figures(runs)) html += figure_html(named.figure);
  return html + "</div></section>\n";
}

std::vector<std::string> notes_of(const std::vector<ReportData>& runs) {
  std::vector<std::string> notes;
  for (const auto& run : runs) {
    for (const auto& note : run.notes) notes.push_back(run.run + ": " + note);
  }
  return notes;
}

}  // namespace

std::string render_comparison(const std::vector<ReportData>& runs) {
  DERMATOME_CHECK(runs.size() >= 2 && runs.size() <= kMostRuns, "a comparison is of 2 to {} runs, not of {}", kMostRuns,
                  runs.size());
  const std::string pictures = pictures_html(runs);
  std::string body = fmt::format("<div class=\"hero\"><h1>{} runs compared</h1><p class=\"lead\">{}</p>{}</div>\n",
                                 runs.size(), escape(runs[0].title), key_html(runs));
  body += notes_html(notes_of(runs)) + quality_html(runs) + charts_html(runs) + pictures;
  body += "<section id=\"settings\"><h2>Settings that differ</h2>\n" + settings_html(runs) + "</section>\n";
  body += "<section id=\"time\"><h2>Time</h2>\n" + timing_html(runs) + "</section>\n";
  std::string links = "<a href=\"#quality\">Quality</a><a href=\"#training\">Training</a>";
  if (!pictures.empty()) links += "<a href=\"#photographs\">Photographs</a>";
  links += "<a href=\"#settings\">Settings</a><a href=\"#time\">Time</a>";
  return page_html({.title = "Comparison of runs", .version = runs[0].version, .links = links, .body = body});
}

}  // namespace dermatome::report

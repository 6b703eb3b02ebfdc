// Puts the page together: head, key figures, sections, footer.
#include "tools/report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tools/report/charts.h"
#include "tools/report/markup.h"
#include "tools/report/sections.h"
#include "tools/report/style.h"

namespace dermatome::report {
namespace {

constexpr std::size_t kKeyFigures = 3;
constexpr double kGaugeWidth = 250;

// Two outlines of one lesion that nearly agree.
constexpr const char* kLogo =
    "<svg viewBox=\"0 0 32 32\" aria-hidden=\"true\"><path class=\"logo-truth\" d=\"M17 4c7-1 12 5 11 12s-5 12-12 "
    "12S4 23 4 16 9 5 17 4Z\"/><path class=\"logo-prediction\" d=\"M15 7c6-1 10 3 11 9s-3 10-9 11-12-2-12-9S9 8 15 "
    "7Z\"/></svg>";

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) {
    if (!part.empty()) text += (text.empty() ? "" : " · ") + part;
  }
  return text;
}

std::string counted(std::size_t number, const char* one, const char* many) {
  return fmt::format("{} {}", count(number), number == 1 ? one : many);
}

std::size_t scored(const std::vector<ReportImage>& images) {
  return static_cast<std::size_t>(
      std::count_if(images.begin(), images.end(), [](const ReportImage& i) { return std::isfinite(i.jaccard); }));
}

// What the run was evaluated to; before an evaluation what its best epoch reached.
struct KeyFigures {
  std::vector<Metric> figures;
  std::string origin;
};

KeyFigures key_figures(const ReportData& data) {
  if (!data.metrics.empty()) {
    const std::size_t shown = std::min(kKeyFigures, data.metrics.size());
    return {{data.metrics.begin(), data.metrics.begin() + static_cast<std::ptrdiff_t>(shown)}, ""};
  }
  const EpochRow* best = best_epoch(data);
  if (!best) return {};
  KeyFigures result{{{"Jaccard index", best->validation_jaccard, {}, {}}},
                    fmt::format("validation, epoch {}", best->epoch)};
  if (std::isfinite(best->validation_thresholded_jaccard)) {
    result.figures.push_back({"Thresholded Jaccard", best->validation_thresholded_jaccard, {}, {}});
  }
  if (std::isfinite(best->validation_dice)) result.figures.push_back({"Dice", best->validation_dice, {}, {}});
  return result;
}

std::string figures_html(const ReportData& data) {
  const auto [figures, origin] = key_figures(data);
  if (figures.empty()) return {};
  std::string html = "<dl class=\"figures\">";
  for (const auto& metric : figures) {
    std::string range = origin;
    if (metric.low && metric.high) {
      range = fmt::format("95 % interval {} to {}", fixed(*metric.low, 3), fixed(*metric.high, 3));
    }
    html += fmt::format("<div><dt>{}</dt><dd><div class=\"value\">{}</div>{}<div class=\"range\">{}</div></dd></div>\n",
                        escape(metric.name), fixed(metric.mean, 3), gauge_drawing(metric, kGaugeWidth, 14), range);
  }
  return html + "</dl>\n";
}

double total_of(const std::vector<EpochRow>& epochs) {
  double total = 0;
  for (const auto& row : epochs) total += std::isfinite(row.seconds) ? row.seconds : 0;
  return total;
}

// The middle of the speeds of the last epoch's stage: stages differ in size, and a first epoch warms up.
double last_speed(const std::vector<EpochRow>& epochs) {
  std::vector<double> speeds;
  for (const auto& row : epochs) {
    if (row.stage == epochs.back().stage && std::isfinite(row.images_per_second)) {
      speeds.push_back(row.images_per_second);
    }
  }
  if (speeds.empty()) return kMissing;
  const auto middle = speeds.begin() + static_cast<std::ptrdiff_t>(speeds.size() / 2);
  std::nth_element(speeds.begin(), middle, speeds.end());
  return *middle;
}

std::size_t stages_trained(const std::vector<EpochRow>& epochs) {
  std::set<int> stages;
  for (const auto& row : epochs) stages.insert(row.stage);
  return stages.size();
}

std::string facts_html(const ReportData& data) {
  std::string html;
  const auto add = [&](const char* name, const std::string& value) {
    html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", name, value);
  };
  const bool staged = stages_trained(data.epochs) > 1;
  if (!data.epochs.empty()) {
    add("trained for", counted(data.epochs.size(), "epoch", "epochs") +
                           (staged ? fmt::format(" in {} stages", stages_trained(data.epochs)) : ""));
  }
  if (const double total = total_of(data.epochs); total > 0) add("time in epochs", duration(total));
  if (const double speed = last_speed(data.epochs); std::isfinite(speed)) {
    add(staged ? "speed of the last stage" : "speed", significant(speed) + " images/s");
  }
  if (const std::size_t number = scored(data.images)) add("scored on", counted(number, "photograph", "photographs"));
  if (const EpochRow* best = best_epoch(data)) {
    add(("best validation " + best_by_name(data)).c_str(),
        fmt::format("{} <span class=\"soft\">in epoch {}</span>", fixed(best->*data.best_by, 3), best->epoch));
  }
  return html.empty() ? html : "<dl class=\"facts\">" + html + "</dl>\n";
}

bool shows_training(const ReportData& data, const std::vector<Section>& first) {
  return first.empty() || !data.epochs.empty();
}

std::string links_of(const ReportData& data, const std::vector<Section>& first) {
  std::string links;
  for (const auto& section : first) links += fmt::format("<a href=\"#{}\">{}</a>", section.id, escape(section.title));
  if (shows_training(data, first)) links += "<a href=\"#training\">Training</a>";
  links += "<a href=\"#quality\">Quality</a>";
  if (!data.images.empty()) links += "<a href=\"#photographs\">Photographs</a>";
  if (!data.settings.empty() || !data.timing.empty()) links += "<a href=\"#run\">Run</a>";
  if (!data.epochs.empty()) links += "<a href=\"#epochs\">Epochs</a>";
  return links;
}

std::string heading_of(const ReportData& data) {
  return data.run.empty() ? data.title : data.run;
}

std::string hero_html(const ReportData& data) {
  const std::string lead = joined({data.run.empty() ? "" : escape(data.title), escape(data.date)});
  const std::string picture = median_picture(data);
  return fmt::format(
      "<div class=\"hero\"><div class=\"hero-head{}\"><div><div><h1 "
      "class=\"id\">{}</h1>{}</div>{}</div>{}</div>{}</div>\n",
      picture.empty() ? "" : " pictured", escape(heading_of(data)),
      lead.empty() ? "" : fmt::format("<p class=\"lead\">{}</p>", lead), figures_html(data), picture, facts_html(data));
}

std::string masthead_html(const std::string& version, const std::string& links) {
  return fmt::format(
      "<header class=\"masthead\">{}<span class=\"brand\">Dermatome</span><span>{}</span>"
      "<nav aria-label=\"Sections\">{}</nav></header>\n",
      kLogo, escape(version), links);
}

std::string footer_html(const std::string& version) {
  return fmt::format(
      "<footer><p><strong>Not a medical device.</strong> These outlines come from a research program. They must not be "
      "used to diagnose or to treat anyone.</p><p>Made by {}.</p></footer>\n",
      escape(version.empty() ? "Dermatome" : "Dermatome " + version));
}

}  // namespace

std::string page_html(const Page& page) {
  std::string html = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  // The browser itself then refuses whatever is not in this file.
  html +=
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src "
      "'unsafe-inline'\">\n";
  html += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  html += "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n";
  html += fmt::format("<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<div class=\"page\">\n",
                      escape(page.title), style_sheet());
  html += masthead_html(page.version, page.links) + "<main>\n" + page.body;
  return html + "</main>\n" + footer_html(page.version) + "</div>\n</body>\n</html>\n";
}

std::string notes_html(const std::vector<std::string>& notes) {
  if (notes.empty()) return {};
  std::string html = "<aside class=\"notes\"><h2>To bear in mind</h2><ul>";
  for (const auto& note : notes) html += fmt::format("<li>{}</li>", escape(note));
  return html + "</ul></aside>\n";
}

std::string render_html(const ReportData& data, const std::vector<Section>& first) {
  std::string sections;
  for (const auto& section : first) {
    sections +=
        fmt::format("<section id=\"{}\"><h2>{}</h2>\n{}</section>\n", section.id, escape(section.title), section.html);
  }
  if (shows_training(data, first)) sections += training_section(data);
  return page_html({.title = data.run.empty() ? data.title : data.run + " – " + data.title,
                    .version = data.version,
                    .links = links_of(data, first),
                    .body = hero_html(data) + notes_html(data.notes) + sections + quality_section(data) +
                            pictures_section(data) + run_section(data) + epochs_section(data)});
}

}  // namespace dermatome::report

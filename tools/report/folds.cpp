// Tables and curves of folds.
#include "tools/report/folds.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/report/comparison.h"
#include "tools/report/comparison_charts.h"
#include "tools/report/html.h"
#include "tools/report/markup.h"
#include "tools/report/sections.h"
#include "tools/report/ticks.h"

namespace dermatome::report {
namespace {

constexpr double kDifferenceWidth = 260;

std::string fold_row_html(const FoldRow& row, const char* css) {
  return fmt::format(
      "<tr{}><th scope=\"row\">{}</th><td "
      "class=\"number\">{}</td><td class=\"number\">{}</td><td "
      "class=\"number\">{}</td><td class=\"number\">{}</td><td "
      "class=\"number\">{}</td></tr>\n",
      css, escape(row.name), row.best_epoch > 0 ? std::to_string(row.best_epoch) : "", fixed(row.jaccard, 4),
      fixed(row.thresholded_jaccard, 4), fixed(row.dice, 4), fixed(row.loss, 4));
}

std::string folds_table(const FoldsReport& report) {
  std::string html =
      "<div class=\"table-scroll\"><table class=\"compare\"><thead><tr><th "
      "scope=\"col\">fold</th>"
      "<th scope=\"col\" class=\"number\">best epoch</th><th scope=\"col\" "
      "class=\"number\">Jaccard</th>"
      "<th scope=\"col\" class=\"number\">thresholded</th><th scope=\"col\" "
      "class=\"number\">Dice</th>"
      "<th scope=\"col\" class=\"number\">loss</th></tr></thead><tbody>";
  for (const auto& row : report.rows) html += fold_row_html(row, "");
  html += fold_row_html(report.mean, " class=\"total\"") + fold_row_html(report.deviation, "");
  return html +
         "</tbody></table></div>\n<p class=\"remark\">Mean and standard deviation (n - 1) are over the folds.</p>\n";
}

std::string signed_value(double value) {
  return std::isfinite(value) ? (value > 0 ? "+" : "") + fixed(value, 4) : "–";
}

std::string difference_cells(const Metric& difference, double reach) {
  if (!difference.low || !difference.high) return "<td></td><td></td><td class=\"plot\"></td>";
  return fmt::format(
      "<td class=\"number mean\">{}</td><td class=\"number\">{} to {}</td><td "
      "class=\"plot\">{}</td>",
      signed_value(difference.mean), signed_value(*difference.low), signed_value(*difference.high),
      difference_drawing(difference.mean, *difference.low, *difference.high, reach, kDifferenceWidth, 22));
}

std::string ways_table(const std::vector<WayRow>& ways) {
  double reach = 0.01;
  for (const auto& way : ways) {
    for (const double end : {way.difference.low.value_or(0), way.difference.high.value_or(0)})
      reach = std::max(reach, std::abs(end) * 1.1);
  }
  std::string html =
      "<div class=\"table-scroll\"><table class=\"compare\"><thead><tr><th "
      "scope=\"col\">predicted by</th>"
      "<th scope=\"col\" class=\"number\">Jaccard</th><th scope=\"col\" "
      "class=\"number\">thresholded</th>"
      "<th scope=\"col\" class=\"number\">Dice</th><th scope=\"col\" "
      "class=\"number\">difference</th>"
      "<th scope=\"col\" class=\"number\">95 % interval</th>"
      "<th class=\"plot\"><span class=\"visually-hidden\">drawing of the "
      "interval</span></th></tr></thead><tbody>";
  for (const auto& way : ways) {
    const std::string interval = way.jaccard.low && way.jaccard.high
                                     ? fmt::format("{} to {}", fixed(*way.jaccard.low, 3), fixed(*way.jaccard.high, 3))
                                     : "";
    html += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"number\">{}<span "
        "class=\"interval-text\">{}</span></td>"
        "<td class=\"number\">{}</td><td class=\"number\">{}</td>{}</tr>\n",
        escape(way.name), fixed(way.jaccard.mean, 4), interval, fixed(way.thresholded_jaccard, 4), fixed(way.dice, 4),
        difference_cells(way.difference, reach));
  }
  return html +
         "</tbody></table></div>\n<p class=\"remark\">The difference of "
         "the Jaccard index to the ensemble's is paired: "
         "photograph by photograph. Where its interval holds 0, the two "
         "are not told apart.</p>\n";
}

std::string curves_html(const FoldsReport& report) {
  const std::size_t drawn = std::min(report.folds.size(), kMostRuns);
  const std::vector<ReportData> runs(report.folds.begin(), report.folds.begin() + static_cast<std::ptrdiff_t>(drawn));
  if (std::none_of(runs.begin(), runs.end(), [](const ReportData& run) { return !run.epochs.empty(); })) return {};
  std::string html = "<div class=\"charts\">\n";
  html += figure_html(epochs_figure(runs, {"fold-jaccard", "Validation Jaccard index", "1 where the outlines agree",
                                           &EpochRow::validation_jaccard, 0.8, 1}));
  html += figure_html(
      epochs_figure(runs, {"fold-loss", "Validation loss", runs[0].loss_name, &EpochRow::validation_loss, 0, 0}));
  html += "</div>\n";
  if (drawn < report.folds.size())
    html += fmt::format("<p class=\"remark\">The first {} of {} folds are drawn.</p>\n", drawn, report.folds.size());
  return html;
}

}  // namespace

std::string render_folds(const FoldsReport& report) {
  std::vector<Section> sections;
  std::string folds =
      "<p class=\"intro\">The best epoch of each fold on its validation part, at the network's size.</p>\n";
  folds += report.rows.empty() ? "<p class=\"empty\">No fold has finished an epoch.</p>\n" : folds_table(report);
  sections.push_back({.id = "folds", .title = "Folds", .html = folds + curves_html(report)});
  if (!report.ways.empty()) {
    sections.push_back({.id = "ensemble",
                        .title = "Ensemble",
                        .html = "<p class=\"intro\">Each fold's run alone, and "
                                "all together by the mean of their "
                                "probabilities, on the test part, which none "
                                "of them has seen.</p>\n" +
                                ways_table(report.ways)});
  }
  return render_html(report.ensemble, sections);
}

}  // namespace dermatome::report

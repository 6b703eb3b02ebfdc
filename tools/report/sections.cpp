// Training, quality, settings, timing and epochs as HTML.
#include "tools/report/sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "tools/report/charts.h"
#include "tools/report/markup.h"
#include "tools/report/rate_chart.h"

namespace dermatome::report {
namespace {

constexpr double kIntervalWidth = 360;

std::string whole_or_dash(int value) {
  return value > 0 ? std::to_string(value) : "–";
}

template <typename Row>
struct TableColumn {
  std::string heading;
  std::function<std::string(const Row&)> cell;  // escaped
  bool number = true;
};

template <typename Row>
std::string head_html(const std::vector<TableColumn<Row>>& columns) {
  std::string html = "<thead><tr>";
  for (const auto& column : columns) {
    html += fmt::format("<th scope=\"col\"{}>{}</th>", column.number ? " class=\"number\"" : "", column.heading);
  }
  return html + "</tr></thead>";
}

// The first cell heads its row.
template <typename Row>
std::string row_html(const std::vector<TableColumn<Row>>& columns, const Row& row, const char* css = "") {
  std::string html = *css ? fmt::format("<tr class=\"{}\">", css) : "<tr>";
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const char* tag = i == 0 ? "th" : "td";
    html += fmt::format("<{}{}{}>{}</{}>", tag, i == 0 ? " scope=\"row\"" : "",
                        columns[i].number ? " class=\"number\"" : "", columns[i].cell(row), tag);
  }
  return html + "</tr>\n";
}

template <typename Row>
bool any_known(const std::vector<Row>& rows, const std::function<double(const Row&)>& value) {
  return std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return std::isfinite(value(row)); });
}

std::string stages_html(const ReportData& data) {
  if (data.stages.empty()) return {};
  using Column = TableColumn<Stage>;
  const auto any = [&](auto test) { return std::any_of(data.stages.begin(), data.stages.end(), test); };
  std::vector<Column> columns = {
      {"stage", [&](const Stage& s) { return fmt::format("{}. {}", &s - data.stages.data() + 1, escape(s.name)); },
       false},
      {"first epoch", [](const Stage& s) { return std::to_string(s.first_epoch); }}};
  if (any([](const Stage& s) { return s.size > 0; })) {
    columns.push_back({"size, px", [](const Stage& s) { return whole_or_dash(s.size); }});
  }
  if (any([](const Stage& s) { return s.batch > 0; })) {
    columns.push_back({"batch", [](const Stage& s) { return whole_or_dash(s.batch); }});
  }
  if (any_known<Stage>(data.stages, [](const Stage& s) { return s.learning_rate; })) {
    columns.push_back({"highest learning rate", [](const Stage& s) { return significant(s.learning_rate); }});
  }
  if (any([](const Stage& s) { return !s.detail.empty(); })) {
    columns.push_back({"", [](const Stage& s) { return escape(s.detail); }, false});
    columns.back().heading = "details";
  }
  std::string html =
      "<h3 class=\"table-title\">Stages</h3><div class=\"table-scroll\"><table>" + head_html(columns) + "<tbody>";
  for (const auto& stage : data.stages) html += row_html(columns, stage);
  return html + "</tbody></table></div>\n";
}

std::string interval_text(const Metric& metric) {
  if (!metric.low || !metric.high) return "–";
  return fmt::format("{} to {}", fixed(*metric.low, 3), fixed(*metric.high, 3));
}

std::string metrics_html(const ReportData& data) {
  if (data.metrics.empty()) return {};
  const Axis axis = metric_axis(data.metrics);
  std::string html = fmt::format(
      "<div class=\"table-scroll\"><table class=\"metrics\"><thead><tr><th scope=\"col\">metric</th>"
      "<th scope=\"col\" class=\"number\">mean</th><th scope=\"col\" class=\"number\">95 % interval</th>"
      "<th class=\"plot\"><span class=\"visually-hidden\">drawing of the interval</span>{}</th></tr></thead><tbody>",
      interval_scale(axis, kIntervalWidth));
  for (const auto& metric : data.metrics) {
    const std::string detail =
        metric.detail.empty() ? "" : fmt::format(" <span class=\"soft\">{}</span>", escape(metric.detail));
    html += fmt::format(
        "<tr><th scope=\"row\">{}{}</th><td class=\"number mean\">{}</td><td class=\"number\">{}</td>"
        "<td class=\"plot\">{}</td></tr>\n",
        escape(metric.name), detail, fixed(metric.mean, 3), interval_text(metric),
        interval_drawing(metric, axis, kIntervalWidth, 22));
  }
  return html + "</tbody></table></div>\n";
}

std::string settings_html(const std::vector<Setting>& settings) {
  std::string html = "<dl class=\"settings\">";
  for (const auto& setting : settings) {
    const bool is_text = setting.value.find('\n') != std::string::npos;
    html += fmt::format("<div{}><dt>{}</dt><dd>{}</dd></div>\n", is_text ? " class=\"text\"" : "", escape(setting.name),
                        escape(setting.value));
  }
  return html + "</dl>";
}

std::string timing_html(const std::vector<TimingRow>& timing) {
  double total = 0;
  for (const auto& row : timing) total += std::isfinite(row.seconds) ? std::max(0.0, row.seconds) : 0;
  std::string html =
      "<div class=\"table-scroll\"><table><thead><tr><th scope=\"col\">phase</th><th scope=\"col\" class=\"number\">"
      "time</th><th scope=\"col\" class=\"number\">share</th><td></td></tr></thead><tbody>";
  for (const auto& row : timing) {
    const double share = total > 0 ? std::max(0.0, row.seconds) / total : kMissing;
    const std::string meter =
        std::isfinite(share) ? fmt::format("<span class=\"meter\" style=\"width:{:.1f}%\"></span>", 100 * share) : "";
    html += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td>"
        "<td class=\"meter-cell\">{}</td></tr>\n",
        escape(row.phase), duration(row.seconds), percent(share), meter);
  }
  if (timing.size() > 1) {
    html += fmt::format(
        "<tr class=\"total\"><th scope=\"row\">in all</th><td class=\"number\">{}</td><td></td><td></td></tr>",
        duration(total));
  }
  return html + "</tbody></table></div>";
}

}  // namespace

std::string figure_html(const Figure& figure, bool wide) {
  std::string html = fmt::format("<figure{}><div class=\"chart-head\"><h3>{}</h3>", wide ? " class=\"wide\"" : "",
                                 escape(figure.heading));
  if (!figure.legend.empty()) {
    html += "<ul class=\"legend\">";
    for (const auto& entry : figure.legend) {
      html += fmt::format("<li><span class=\"swatch {}\"></span>{}</li>", entry.css, escape(entry.text));
    }
    html += "</ul>";
  }
  html += "</div>";
  if (figure.svg.empty()) {
    html += fmt::format("<p class=\"empty\">{}</p>", escape(figure.caption));
  } else {
    html += fmt::format("<div class=\"chart-scroll\">{}</div>", figure.svg);
    if (!figure.caption.empty())
      html += fmt::format("<figcaption class=\"caption\">{}</figcaption>", escape(figure.caption));
  }
  return html + "</figure>\n";
}

std::string training_section(const ReportData& data) {
  std::string html = "<section id=\"training\"><h2>Training</h2>\n";
  if (data.epochs.empty() && data.learning_rates.empty()) {
    return html + "<p class=\"empty\">No epoch has been finished.</p>\n" + stages_html(data) + "</section>\n";
  }
  const bool has_speed = any_known<EpochRow>(data.epochs, [](const EpochRow& r) { return r.images_per_second; });
  html += "<p class=\"intro\">";
  html += data.stages.size() > 1 ? "Shaded stretches are the stages listed below." : "Over the epochs of the run.";
  html += "</p><div class=\"charts\">\n";
  html += figure_html(jaccard_figure(data)) + figure_html(loss_figure(data));
  html += figure_html(learning_rate_figure(data, !has_speed), !has_speed);
  if (has_speed) html += figure_html(speed_figure(data));
  for (std::size_t i = 0; i < data.rate_finders.size(); ++i)
    html += figure_html(rate_figure(data.rate_finders[i], i), true);
  return html + "</div>" + stages_html(data) + "</section>\n";
}

std::string quality_section(const ReportData& data) {
  std::string html = "<section id=\"quality\"><h2>Quality</h2>\n";
  if (data.metrics.empty() && data.images.empty()) {
    return html + "<p class=\"empty\">The run has not been evaluated.</p></section>\n";
  }
  html += "<p class=\"intro\">Means over the photographs, with 95 % bootstrap intervals of the mean.</p>\n";
  html += metrics_html(data) + "<div class=\"charts\">\n";
  html += figure_html(jaccard_histogram(data.images)) + figure_html(area_scatter(data.images));
  return html + "</div></section>\n";
}

std::string run_section(const ReportData& data) {
  if (data.settings.empty() && data.timing.empty()) return {};
  std::string html =
      "<section id=\"run\"><h2>Run</h2>\n<p class=\"intro\">How these results came about.</p><div class=\"split\">\n";
  if (!data.settings.empty()) html += "<div><h3>Settings</h3>" + settings_html(data.settings) + "</div>\n";
  if (!data.timing.empty()) html += "<div><h3>Time</h3>" + timing_html(data.timing) + "</div>\n";
  return html + "</div></section>\n";
}

std::string epochs_section(const ReportData& data) {
  if (data.epochs.empty()) return {};
  using Column = TableColumn<EpochRow>;
  std::vector<Column> columns = {{"epoch", [](const EpochRow& r) { return std::to_string(r.epoch); }}};
  if (data.stages.size() > 1) {
    columns.push_back({"stage",
                       [&](const EpochRow& r) {
                         const bool known = r.stage >= 0 && static_cast<std::size_t>(r.stage) < data.stages.size();
                         return known ? escape(data.stages[static_cast<std::size_t>(r.stage)].name) : "–";
                       },
                       false});
  }
  const auto add = [&](const char* heading, double EpochRow::*value, std::function<std::string(double)> print) {
    if (!any_known<EpochRow>(data.epochs, [&](const EpochRow& r) { return r.*value; })) return;
    columns.push_back({heading, [value, print = std::move(print)](const EpochRow& r) { return print(r.*value); }});
  };
  const auto decimals = [](int digits) { return [digits](double value) { return fixed(value, digits); }; };
  add("learning rate", &EpochRow::learning_rate, significant);
  add("training loss", &EpochRow::train_loss, decimals(4));
  add("validation loss", &EpochRow::validation_loss, decimals(4));
  add("training Jaccard", &EpochRow::train_jaccard, decimals(4));
  add("validation Jaccard", &EpochRow::validation_jaccard, decimals(4));
  add("thresholded", &EpochRow::validation_thresholded_jaccard, decimals(4));
  add("validation Dice", &EpochRow::validation_dice, decimals(4));
  add("time", &EpochRow::seconds, duration);
  add("images/s", &EpochRow::images_per_second, significant);

  const EpochRow* best = best_epoch(data);
  std::string html = "<section id=\"epochs\"><h2>Epochs</h2>\n<p class=\"intro\">";
  html += best ? fmt::format("The highest validation {} is set in bold.", best_by_name(data)) : "Every finished epoch.";
  html += "</p><div class=\"epochs\" tabindex=\"0\" role=\"region\" aria-label=\"Table of epochs\"><table>";
  html += head_html(columns) + "<tbody>";
  for (const auto& row : data.epochs) html += row_html(columns, row, &row == best ? "highest" : "");
  return html + "</tbody></table></div></section>\n";
}

}  // namespace dermatome::report

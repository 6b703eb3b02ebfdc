// Charts taken out of the page.
#include "tools/report/figure_files.h"

#include <fmt/format.h>

#include <charconv>

#include "data/codec.h"
#include "engine/core/error.h"
#include "tools/report/comparison_charts.h"
#include "tools/report/markup.h"
#include "tools/report/outlined.h"
#include "tools/report/rate_chart.h"
#include "tools/report/selection.h"
#include "tools/report/svg_file.h"

namespace dermatome::report {
namespace {

constexpr int kJpegQuality = 90;
constexpr double kHeadHeight = 24;    // of the heading
constexpr double kLegendHeight = 20;  // below it
constexpr double kSwatchWidth = 16;
constexpr double kCharacterWidth = 6.6;  // generously

constexpr std::string_view kOpening = "<svg class=\"chart\" viewBox=\"0 0 ";

double number_at(std::string_view& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  DERMATOME_CHECK(error == std::errc(), "a chart has no size");
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return value;
}

// The names of the lines, in a row of their own.
std::string legend_of(const std::vector<LegendEntry>& entries) {
  std::string svg;
  double left = 0;
  for (const auto& entry : entries) {
    svg += fmt::format("<line class=\"line {}\" x1=\"{}\" y1=\"30\" x2=\"{}\" y2=\"30\"/>", entry.css, coordinate(left),
                       coordinate(left + kSwatchWidth));
    left += kSwatchWidth + 6;
    svg += draw_text(left, 34, "start", "legend", entry.text);
    left += kCharacterWidth * static_cast<double>(entry.text.size()) + 18;
  }
  return svg;
}

void add(std::vector<FigureFile>& files, std::string name, const Figure& figure) {
  if (!figure.svg.empty()) files.push_back({std::move(name), figure_svg(figure)});
}

void add_pictures(std::vector<FigureFile>& files, const ReportData& data, const std::string& group,
                  const std::vector<std::size_t>& chosen) {
  int place = 0;
  for (const std::size_t i : chosen) {
    ++place;
    if (data.images[i].photograph.pixels.empty()) continue;
    const auto jpeg = data::encode_jpeg(outlined(data.images[i]), kJpegQuality);
    files.push_back({fmt::format("{}_{}.jpg", group, place), std::string(jpeg.begin(), jpeg.end())});
  }
}

}  // namespace

std::string figure_svg(const Figure& figure) {
  DERMATOME_CHECK(figure.svg.starts_with(kOpening), "the figure {} has no chart", figure.heading);
  std::string_view rest = std::string_view(figure.svg).substr(kOpening.size());
  const double width = number_at(rest);
  const double height = number_at(rest);
  std::vector<Panel> panels(2);
  Panel& head = panels[0];
  Panel& chart = panels[1];
  head.frame.width = chart.frame.width = width;
  head.frame.height = figure.legend.empty() ? kHeadHeight : kHeadHeight + kLegendHeight;
  chart.frame.height = height;
  head.content = draw_text(0, 14, "start", "heading", figure.heading) + legend_of(figure.legend);
  chart.content = fmt::format("<svg width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\"{2}", coordinate(width),
                              coordinate(height), rest);
  return svg_file(figure.heading, panels);
}

std::vector<FigureFile> figure_files(const ReportData& data) {
  std::vector<FigureFile> files;
  add(files, "loss.svg", loss_figure(data));
  add(files, "jaccard.svg", jaccard_figure(data));
  add(files, "learning_rate.svg", learning_rate_figure(data));
  add(files, "speed.svg", speed_figure(data));
  for (std::size_t i = 0; i < data.rate_finders.size(); ++i)
    add(files, fmt::format("learning_rate_finder_{}.svg", i + 1), rate_figure(data.rate_finders[i], i));
  add(files, "histogram.svg", jaccard_histogram(data.images));
  add(files, "area.svg", area_scatter(data.images));
  const PictureChoice choice = choose_pictures(data.images);
  add_pictures(files, data, "best", choice.best);
  add_pictures(files, data, "worst", choice.worst);
  return files;
}

std::vector<FigureFile> figure_files(const std::vector<ReportData>& runs) {
  std::vector<FigureFile> files;
  for (const auto& [name, figure] : training_figures(runs)) add(files, name + ".svg", figure);
  for (const auto& [name, figure] : quality_figures(runs)) add(files, name + ".svg", figure);
  return files;
}

}  // namespace dermatome::report

// Charts with a line a run.
#include "tools/report/comparison_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/report/markup.h"
#include "tools/training/evaluation_statistics.h"

namespace dermatome::report {
namespace {

constexpr double kLogarithmicRatio = 50;  // values that span more are drawn on a logarithmic axis

std::vector<LegendEntry> legend_of(const std::vector<ReportData>& runs, const std::vector<std::size_t>& shown) {
  std::vector<LegendEntry> legend;
  for (const std::size_t r : shown) legend.push_back({run_class(r), runs[r].run});
  return legend;
}

double last_known(const std::vector<Point>& points) {
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    if (std::isfinite(point->y)) return point->y;
  }
  return kMissing;
}

// Lines of the runs that have a value at all, on axes that hold them.
Figure lines_figure(const std::vector<ReportData>& runs, const std::string& id, const std::string& heading,
                    const std::vector<std::vector<Point>>& points, Frame frame) {
  Figure figure{.heading = heading};
  std::vector<std::size_t> shown;
  std::string description;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    if (!std::isfinite(last_known(points[r]))) continue;
    shown.push_back(r);
    description += fmt::format("{}{}: {} at the end.", description.empty() ? "" : " ", runs[r].run,
                               significant(last_known(points[r])));
  }
  if (shown.empty()) {
    figure.caption = "No run has values for this.";
    return figure;
  }
  figure.legend = legend_of(runs, shown);
  figure.svg = open_svg(frame, id, heading, description) + draw_axes(frame);
  for (const std::size_t r : shown) figure.svg += draw_line(frame, {.css = run_class(r), .points = points[r]});
  figure.svg += "</svg>";
  return figure;
}

std::optional<Range> range_of(const std::vector<std::vector<Point>>& points, double Point::*value) {
  std::optional<Range> range;
  for (const auto& line : points) {
    for (const Point point : line) {
      if (!std::isfinite(point.y)) continue;
      const double v = point.*value;
      if (!range) range = Range{v, v};
      range->low = std::min(range->low, v);
      range->high = std::max(range->high, v);
    }
  }
  return range;
}

}  // namespace

std::string run_class(std::size_t run) {
  return fmt::format("run-{}", run + 1);
}

Figure epochs_figure(const std::vector<ReportData>& runs, const EpochsChart& chart) {
  std::vector<std::vector<Point>> points(runs.size());
  for (std::size_t r = 0; r < runs.size(); ++r) {
    for (const auto& row : runs[r].epochs) points[r].push_back({static_cast<double>(row.epoch), row.*chart.value});
  }
  Frame frame;
  const Range epochs = range_of(points, &Point::x).value_or(Range{1, 1});
  frame.x.range = {epochs.low - 0.5, epochs.high + 0.5};
  frame.x.ticks = whole_ticks(frame.x.range, 10);
  frame.x.labels = tick_labels(frame.x.ticks);
  frame.x.title = "epoch";
  const Range values = range_of(points, &Point::y).value_or(Range{0, 1});
  frame.y = values.low > 0 && chart.to == 0 && values.high > kLogarithmicRatio * values.low
                ? rounded_log_axis(values, chart.axis + " (log scale)")
                : rounded_axis({std::min(values.low, chart.from), std::max(values.high, chart.to)}, chart.axis);
  return lines_figure(runs, chart.id, chart.heading, points, frame);
}

Figure reached_figure(const std::vector<ReportData>& runs) {
  std::vector<std::vector<Point>> points(runs.size());
  for (std::size_t r = 0; r < runs.size(); ++r) {
    std::vector<double> values;
    for (const auto& image : runs[r].images) {
      if (std::isfinite(image.jaccard)) values.push_back(image.jaccard);
    }
    std::sort(values.begin(), values.end());
    if (values.empty()) continue;
    const auto count = static_cast<double>(values.size());
    points[r].push_back({0, 1});
    for (std::size_t i = 0; i < values.size(); ++i) {
      points[r].push_back({values[i], (count - static_cast<double>(i)) / count});
      points[r].push_back({values[i], (count - static_cast<double>(i) - 1) / count});
    }
  }
  Frame frame;
  frame.x = {.range = {0, 1}, .ticks = linear_ticks({0, 1}, 10), .title = "Jaccard index"};
  frame.x.labels = tick_labels(frame.x.ticks);
  frame.y = rounded_axis({0, 1}, "share of the photographs that reach it");
  Figure figure = lines_figure(runs, "reached", "Photographs by Jaccard index", points, frame);
  if (!figure.svg.empty()) figure.caption = "The further right a line falls, the better.";
  return figure;
}

Figure sizes_figure(const std::vector<ReportData>& runs) {
  std::vector<std::vector<Point>> points(runs.size());
  for (std::size_t r = 0; r < runs.size(); ++r) {
    std::vector<training::SizedScores> images;
    for (const auto& image : runs[r].images) {
      if (!std::isfinite(image.jaccard) || !std::isfinite(image.lesion_area_share)) continue;
      images.push_back({.truth_share = image.lesion_area_share});
      images.back().scores[training::kJaccard] = image.jaccard;
    }
    const auto quarters = training::size_quarters(std::move(images), 42);
    for (std::size_t q = 0; q < quarters.size(); ++q) {
      points[r].push_back({static_cast<double>(q), quarters[q].means[training::kJaccard]});
    }
  }
  Frame frame;
  frame.x = {.range = {-0.4, 3.4}, .ticks = {0, 1, 2, 3}, .labels = {"smallest", "second", "third", "largest"}};
  frame.x.title = "quarter of the photographs by lesion size";
  const Range values = range_of(points, &Point::y).value_or(Range{0, 1});
  frame.y = rounded_axis({std::min(values.low, 0.5), 1}, "mean Jaccard index");
  Figure figure = lines_figure(runs, "sizes", "Jaccard index by lesion size", points, frame);
  if (figure.svg.empty()) {
    figure.caption = "Too few photographs with a lesion were scored.";
    return figure;
  }
  std::string dots;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    for (const Point point : points[r]) {
      dots += fmt::format(
          "<circle class=\"dot {} ringed\" cx=\"{}\" cy=\"{}\" r=\"4.5\"><title>{}: {}</title></circle>", run_class(r),
          coordinate(frame.x_of(point.x)), coordinate(frame.y_of(point.y)), escape(runs[r].run), fixed(point.y, 3));
    }
  }
  figure.svg.insert(figure.svg.rfind("</svg>"), dots);
  return figure;
}

Figure pairs_figure(const ReportData& first, const ReportData& other) {
  Figure figure{.heading = "Photograph by photograph"};
  Frame frame;
  frame.x = rounded_axis({0, 1}, "Jaccard index, " + first.run);
  frame.y = rounded_axis({0, 1}, "Jaccard index, " + other.run);
  std::string dots;
  std::size_t number = 0;
  for (const auto& image : other.images) {
    const auto found = std::find_if(first.images.begin(), first.images.end(),
                                    [&](const ReportImage& candidate) { return candidate.id == image.id; });
    if (found == first.images.end() || !std::isfinite(found->jaccard) || !std::isfinite(image.jaccard)) continue;
    ++number;
    dots += fmt::format("<circle class=\"point {}\" cx=\"{}\" cy=\"{}\" r=\"3\"><title>{}: {} and {}</title></circle>",
                        run_class(image.jaccard >= found->jaccard ? 1 : 0), coordinate(frame.x_of(found->jaccard)),
                        coordinate(frame.y_of(image.jaccard)), escape(image.id), fixed(found->jaccard, 3),
                        fixed(image.jaccard, 3));
  }
  if (number == 0) {
    figure.caption = "The runs share no scored photograph.";
    return figure;
  }
  figure.legend = {{run_class(0), first.run + " is better"}, {run_class(1), other.run + " is better or equal"}};
  figure.svg =
      open_svg(frame, "pairs", figure.heading, fmt::format("{} photographs scored in both runs.", number)) +
      draw_axes(frame) +
      fmt::format("<line class=\"threshold-line\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", coordinate(frame.x_of(0)),
                  coordinate(frame.y_of(0)), coordinate(frame.x_of(1)), coordinate(frame.y_of(1))) +
      dots + "</svg>";
  figure.caption = "On the dashed line both runs are equal.";
  return figure;
}

namespace {

// One name where all runs have the same loss: others cannot be compared by height.
std::string loss_name_of(const std::vector<ReportData>& runs) {
  const bool same =
      std::all_of(runs.begin(), runs.end(), [&](const ReportData& run) { return run.loss_name == runs[0].loss_name; });
  return same ? runs[0].loss_name : "each run's own loss";
}

}  // namespace

std::vector<NamedFigure> training_figures(const std::vector<ReportData>& runs) {
  const std::string loss = loss_name_of(runs);
  return {{"jaccard", epochs_figure(runs, {"jaccard", "Validation Jaccard index", "1 where the outlines agree",
                                           &EpochRow::validation_jaccard, 0.8, 1})},
          {"loss", epochs_figure(runs, {"validation-loss", "Validation loss", loss, &EpochRow::validation_loss, 0, 0})},
          {"train_loss", epochs_figure(runs, {"train-loss", "Training loss", loss, &EpochRow::train_loss, 0, 0})},
          {"learning_rate", epochs_figure(runs, {"rate", "Learning rate at the end of the epoch", "",
                                                 &EpochRow::learning_rate, 0, 1e-9})}};
}

std::vector<NamedFigure> quality_figures(const std::vector<ReportData>& runs) {
  std::vector<NamedFigure> figures{{"reached", reached_figure(runs)}, {"sizes", sizes_figure(runs)}};
  if (runs.size() == 2) figures.push_back({"pairs", pairs_figure(runs[0], runs[1])});
  return figures;
}

std::string difference_drawing(double mean, double low, double high, double reach, double width, double height) {
  const auto x_of = [&](double value) { return (std::clamp(value / reach, -1.0, 1.0) + 1) / 2 * (width - 12) + 6; };
  const std::string y = coordinate(height / 2);
  return fmt::format(
      "<svg class=\"interval\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" aria-hidden=\"true\">"
      "<line class=\"track\" x1=\"6\" y1=\"{2}\" x2=\"{3}\" y2=\"{2}\"/>"
      "<line class=\"zero-line\" x1=\"{4}\" y1=\"1\" x2=\"{4}\" y2=\"{5}\"/>"
      "<line class=\"whisker\" x1=\"{6}\" y1=\"{2}\" x2=\"{7}\" y2=\"{2}\"/>"
      "<circle class=\"dot validation ringed\" cx=\"{8}\" cy=\"{2}\" r=\"4\"/></svg>",
      coordinate(width), coordinate(height), y, coordinate(width - 6), coordinate(x_of(0)), coordinate(height - 1),
      coordinate(x_of(low)), coordinate(x_of(high)), coordinate(x_of(mean)));
}

}  // namespace dermatome::report

// Drawing a finder's curve.
#include "tools/report/rate_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tools/report/svg_file.h"

namespace dermatome::report {
namespace {

constexpr double kMargin = 0.1;  // above the largest loss in front of the lowest, as a share of the fall
constexpr double kFar = std::numeric_limits<double>::infinity();

Range loss_range(const RateChart& chart) {
  Range range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const RatePoint& point : chart.points) {
    range.low = std::min(range.low, point.loss);
    if (point.rate <= chart.lowest || range.high < range.low) range.high = std::max(range.high, point.loss);
  }
  range.high += kMargin * (range.high - range.low);
  return range;
}

Line line_of(std::string css, const Frame& frame, const RateChart& chart, double RatePoint::*loss) {
  Line line{.css = std::move(css), .points = {}};
  for (const RatePoint& point : chart.points) {
    const double value = point.*loss;
    const bool inside = value >= frame.y.range.low && value <= frame.y.range.high;
    line.points.push_back({point.rate, inside ? value : kMissing});
  }
  return line;
}

// The smoothed loss at that rate, of the nearest point.
double smoothed_at(const RateChart& chart, double rate) {
  const auto distance = [&](const RatePoint& point) {
    return std::isfinite(point.smoothed) ? std::abs(std::log(point.rate / rate)) : kFar;
  };
  return std::min_element(chart.points.begin(), chart.points.end(),
                          [&](const RatePoint& a, const RatePoint& b) { return distance(a) < distance(b); })
      ->smoothed;
}

void add_axes(Frame& frame, const RateChart& chart) {
  frame.left = 66;
  frame.y = rounded_axis(loss_range(chart), chart.loss_name, 6);
  const Range rates{chart.points.front().rate, chart.points.back().rate};
  frame.x = chart.logarithmic ? rounded_log_axis(rates, "learning rate (log scale)")
                              : rounded_axis(rates, "learning rate", 8);
}

std::string content_of(const Frame& frame, const RateChart& chart) {
  std::string content = draw_axes(frame) + draw_line(frame, line_of("run-6 pale", frame, chart, &RatePoint::loss)) +
                        draw_line(frame, line_of("run-2", frame, chart, &RatePoint::average)) +
                        draw_line(frame, line_of("run-1", frame, chart, &RatePoint::smoothed));
  if (!chart.steepest) return content;
  content += draw_mark(frame, {{*chart.steepest, smoothed_at(chart, *chart.steepest)},
                               "run-1",
                               fmt::format("steepest {}", significant(*chart.steepest))});
  if (const double tenth = chart.lowest / 10; tenth > 0 && tenth >= frame.x.range.low)
    content += draw_mark(frame, {{tenth, smoothed_at(chart, tenth)}, "run-3", "minimum / 10", 1});
  return content;
}

const std::vector<LegendEntry> kLegend{
    {"run-6", "each step"}, {"run-2", "running average"}, {"run-1", "smoothed without lag"}};

}  // namespace

Figure rate_figure(const RateChart& chart, std::size_t number) {
  Frame frame;
  frame.width = 1160;
  add_axes(frame, chart);
  const std::string found = chart.steepest ? fmt::format("The loss falls steepest at {}.", significant(*chart.steepest))
                                           : "The loss never falls beyond its noise.";
  return {
      .heading = chart.title,
      .legend = kLegend,
      .svg = open_svg(frame, fmt::format("rates-{}", number), chart.title, found) + content_of(frame, chart) + "</svg>",
      .caption = chart.steepest ? "" : found};
}

std::string rate_picture(const RateChart& chart) {
  Panel panel;
  panel.frame.width = 760;
  panel.frame.height = 340;
  add_axes(panel.frame, chart);
  std::vector<NamedColour> names;
  for (const auto& entry : kLegend) names.push_back({entry.css, entry.text});
  panel.content = content_of(panel.frame, chart) + draw_legend(panel.frame, names);
  return svg_file(chart.title, {panel});
}

}  // namespace dermatome::report

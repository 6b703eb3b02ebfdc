// Drawing a finder's curve.
#include "tools/report/rate_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/report/svg_file.h"

namespace dermatome::report {
namespace {

constexpr double kMargin = 0.1;  // above the largest loss in front of the lowest, as a share of the fall

Range loss_range(const RateChart& chart) {
  Range range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const Point point : chart.losses) {
    range.low = std::min(range.low, point.y);
    if (point.x <= chart.lowest || range.high < range.low) range.high = std::max(range.high, point.y);
  }
  range.high += kMargin * (range.high - range.low);
  return range;
}

Line line_of(std::string css, const Frame& frame, const std::vector<Point>& points) {
  Line line{.css = std::move(css), .points = points};
  for (Point& point : line.points) {
    if (point.y > frame.y.range.high) point.y = std::numeric_limits<double>::quiet_NaN();
  }
  return line;
}

// The smoothed loss at that rate, of the nearest point.
double smoothed_at(const RateChart& chart, double rate) {
  const auto distance = [&](const Point& point) { return std::abs(std::log(point.x / rate)); };
  const auto nearest = std::min_element(chart.smoothed.begin(), chart.smoothed.end(),
                                        [&](const Point& a, const Point& b) { return distance(a) < distance(b); });
  return nearest == chart.smoothed.end() ? 0 : nearest->y;
}

}  // namespace

std::string rate_picture(const RateChart& chart) {
  Panel panel;
  Frame& frame = panel.frame;
  frame.width = 760;
  frame.height = 340;
  frame.left = 66;
  frame.y = rounded_axis(loss_range(chart), chart.loss_name, 6);
  const Range rates{chart.losses.front().x, chart.losses.back().x};
  frame.x = chart.logarithmic ? rounded_log_axis(rates, "learning rate (log scale)")
                              : rounded_axis(rates, "learning rate", 8);
  panel.content = draw_axes(frame) + draw_line(frame, line_of("run-6 pale", frame, chart.losses)) +
                  draw_line(frame, line_of("run-2", frame, chart.averages)) +
                  draw_line(frame, line_of("run-1", frame, chart.smoothed));
  if (chart.lowest > 0) {
    const double tenth = chart.lowest / 10;
    if (tenth >= frame.x.range.low)
      panel.content += draw_mark(frame, {{tenth, smoothed_at(chart, tenth)}, "run-3", "minimum / 10"});
  }
  if (chart.steepest) {
    panel.content += draw_mark(frame, {{*chart.steepest, smoothed_at(chart, *chart.steepest)},
                                       "run-1",
                                       fmt::format("steepest {}", significant(*chart.steepest))});
  }
  panel.content +=
      draw_legend(frame, {{"run-6", "each step"}, {"run-2", "running average"}, {"run-1", "smoothed without lag"}});
  return svg_file(chart.title, {panel});
}

}  // namespace dermatome::report

// Drawing schedules.
#include "tools/report/schedule_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "tools/report/svg_file.h"

namespace dermatome::report {
namespace {

constexpr double kLogarithmicRatio = 30;  // between the largest rates of groups
constexpr std::size_t kColours = 6;
constexpr double kNowhere = std::numeric_limits<double>::quiet_NaN();  // breaks a line

std::string colour(std::size_t index) {
  return fmt::format("run-{}", index % kColours + 1);
}

Axis step_axis(std::size_t steps) {
  Axis axis;
  axis.range = {0, std::max(1.0, static_cast<double>(steps) - 1)};
  axis.ticks = whole_ticks(axis.range, 10);
  axis.labels = tick_labels(axis.ticks);
  axis.title = "step";
  return axis;
}

Line line_of(std::string css, const std::vector<double>& values, bool without_zeros) {
  Line line{.css = std::move(css), .points = {}};
  for (std::size_t step = 0; step < values.size(); ++step) {
    const double value = without_zeros && values[step] == 0 ? kNowhere : values[step];
    line.points.push_back({static_cast<double>(step), value});
  }
  return line;
}

Axis rate_axis(const ScheduleCurves& curves) {
  double lowest = 0, lowest_peak = 0, highest_peak = 0;
  for (const auto& group : curves.groups) {
    double peak = 0;
    for (const double rate : group.rates) {
      peak = std::max(peak, rate);
      if (rate > 0) lowest = lowest == 0 ? rate : std::min(lowest, rate);
    }
    highest_peak = std::max(highest_peak, peak);
    if (peak > 0) lowest_peak = lowest_peak == 0 ? peak : std::min(lowest_peak, peak);
  }
  if (highest_peak > kLogarithmicRatio * lowest_peak)
    return rounded_log_axis({lowest, highest_peak}, "learning rate (log scale)");
  return rounded_axis({0, highest_peak}, "learning rate");
}

}  // namespace

std::string schedule_picture(const ScheduleCurves& curves) {
  Panel rates;
  rates.frame.width = 760;
  rates.frame.left = 66;
  rates.frame.x = step_axis(curves.momentum.size());
  rates.frame.y = rate_axis(curves);
  rates.content = draw_stretches(rates.frame, curves.stages) + draw_axes(rates.frame);
  std::vector<NamedColour> legend;
  for (std::size_t g = 0; g < curves.groups.size(); ++g) {
    legend.push_back({colour(g), curves.groups[g].name});
    rates.content += draw_line(rates.frame, line_of(colour(g), curves.groups[g].rates, true));
  }
  rates.content += draw_legend(rates.frame, legend);

  Panel momentum{.frame = rates.frame, .content = {}};
  momentum.frame.height = 190;
  const auto [low, high] = std::minmax_element(curves.momentum.begin(), curves.momentum.end());
  momentum.frame.y = rounded_axis({std::min(*low, 0.8), std::max(*high, 1.0)}, "momentum (beta1)", 4);
  momentum.content = draw_stretches(momentum.frame, curves.stages) + draw_axes(momentum.frame) +
                     draw_line(momentum.frame, line_of("run-6", curves.momentum, false));
  return svg_file("Learning rate and momentum by step", {rates, momentum});
}

}  // namespace dermatome::report

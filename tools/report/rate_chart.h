// The picture of a learning-rate finder's curve.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/report/svg_chart.h"

namespace dermatome::report {

struct RateChart {
  std::string title;
  std::string loss_name;  // of the y axis
  bool logarithmic = true;
  std::vector<Point> losses, averages, smoothed;  // by rate, in rising order
  std::optional<double> steepest;                 // the suggested rate
  double lowest = 0;                              // the rate where the smoothed loss is smallest; 0: none
};

// A whole SVG file. Losses far above the first ones are cut off: what explodes would flatten what falls.
std::string rate_picture(const RateChart& chart);

}  // namespace dermatome::report

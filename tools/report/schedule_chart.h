// The picture of a recipe's schedules: learning rate by parameter group, and momentum, over the steps.
#pragma once

#include <string>
#include <vector>

#include "tools/report/svg_chart.h"

namespace dermatome::report {

struct ScheduleCurves {
  struct Group {
    std::string name;
    std::vector<double> rates;  // one a step; 0: frozen, and not drawn
  };
  std::vector<Group> groups;
  std::vector<double> momentum;  // one a step
  std::vector<Stretch> stages;   // by their first step
};

// A whole SVG file. Rates that span more than a factor of 30 between groups are drawn on a logarithmic axis.
std::string schedule_picture(const ScheduleCurves& curves);

}  // namespace dermatome::report

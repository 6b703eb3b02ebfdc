// Learning-rate schedules.
#include "tools/training/schedule.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/suggest.h"

namespace dermatome::training {
namespace {

double slanted_triangle(std::int64_t step, std::int64_t steps, double div, std::int64_t cut_div) {
  const std::int64_t cut = std::max<std::int64_t>(1, steps / std::max<std::int64_t>(1, cut_div));
  const auto s = static_cast<double>(step);
  const auto c = static_cast<double>(cut);
  const double p = step <= cut ? s / c : 1.0 - (s - c) / (static_cast<double>(steps) - c);
  return (1.0 + std::max(0.0, p) * (div - 1.0)) / div;
}

}  // namespace

std::vector<std::string> schedule_names() {
  return {"use_clr", "stlr", "constant"};
}

double schedule_factor(const ScheduleSettings& settings, std::int64_t step, std::int64_t steps) {
  if (settings.name == "use_clr") return slanted_triangle(step, steps, settings.div, settings.cut_div);
  if (settings.name == "stlr") return slanted_triangle(step, steps, 32, 10);
  if (settings.name == "constant") return 1;
  const auto names = schedule_names();
  fail_usage("there is no schedule '{}'{}", settings.name, did_you_mean(settings.name, names));
}

}  // namespace dermatome::training

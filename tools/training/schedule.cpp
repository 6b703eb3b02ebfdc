// Learning-rate schedules.
#include "tools/training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

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

SchedulePoint cycle_with_momentum(std::int64_t step, std::int64_t steps, const ScheduleSettings& settings) {
  const double rising = static_cast<double>(steps) * (1.0 - settings.pct / 100.0) / 2.0;
  const auto half = static_cast<double>(std::max<std::int64_t>(1, static_cast<std::int64_t>(rising)));
  const auto s = static_cast<double>(step);
  if (s > 2 * half) {
    const double share = (s - 2 * half) / (static_cast<double>(steps) - 2 * half);
    return {.factor = (1.0 - 0.99 * share) / settings.div, .beta1 = settings.momentum_high};
  }
  const double p = s <= half ? s / half : 1.0 - (s - half) / half;
  return {.factor = (1.0 + p * (settings.div - 1.0)) / settings.div,
          .beta1 = settings.momentum_high + p * (settings.momentum_low - settings.momentum_high)};
}

}  // namespace

std::vector<std::string> schedule_names() {
  return {"use_clr", "stlr", "use_clr_beta", "one_cycle", "cosine", "constant"};
}

SchedulePoint schedule_at(const ScheduleSettings& settings, std::int64_t step, std::int64_t steps) {
  if (settings.name == "use_clr") return {slanted_triangle(step, steps, settings.div, settings.cut_div), {}};
  if (settings.name == "stlr") return {slanted_triangle(step, steps, 32, 10), {}};
  if (settings.name == "use_clr_beta") return cycle_with_momentum(step, steps, settings);
  if (settings.name == "one_cycle") return cycle_with_momentum(step, steps, {.name = "use_clr_beta", .div = 10});
  if (settings.name == "cosine") {
    const double angle = std::numbers::pi * static_cast<double>(step) / static_cast<double>(steps);
    return {(1.0 + std::cos(angle)) / 2.0, {}};
  }
  if (settings.name == "constant") return {};
  const auto names = schedule_names();
  fail_usage("there is no schedule '{}'{}", settings.name, did_you_mean(settings.name, names));
}

double schedule_factor(const ScheduleSettings& settings, std::int64_t step, std::int64_t steps) {
  return schedule_at(settings, step, steps).factor;
}

}  // namespace dermatome::training

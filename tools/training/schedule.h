// Schedules: the share of the largest learning rate, and Adam's beta1 where a schedule moves it, at each step of a
// stage.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dermatome::training {

// How a schedule's numbers are set; see schedule_at.
struct ScheduleSettings {
  std::string name = "use_clr";
  double div = 20;              // largest rate / first rate
  std::int64_t cut_div = 10;    // use_clr: the rate rises for 1/cut_div of the steps
  double pct = 10;              // use_clr_beta: this part of the steps comes behind the cycle
  double momentum_high = 0.95;  // use_clr_beta: where the rate is smallest
  double momentum_low = 0.85;   // use_clr_beta: where it is largest
};

struct SchedulePoint {
  double factor = 1;            // of the largest rate, in (0, 1]
  std::optional<double> beta1;  // none: the stage's own
};

std::vector<std::string> schedule_names();

// At step `step` of `steps` (counted from 0).
//   use_clr       fastai 0.7: cut = max(1, steps / cut_div); p = step/cut up to the cut, then
//                 1 - (step-cut)/(steps-cut); factor (1 + p*(div-1)) / div
//   stlr          Howard & Ruder 2018 (arXiv 1801.06146), slanted triangular with ratio 32 and a tenth rising:
//                 use_clr(32, 10)
//   use_clr_beta  fastai 0.7: half of what pct leaves up from 1/div to 1, the other half down again, then on to
//                 1/(100 div); beta1 from momentum_high down to momentum_low, up again, and stays
//   one_cycle     Smith 2018 (arXiv 1803.09820): use_clr_beta(10, 10, 0.95, 0.85)
//   cosine        (1 + cos(pi step / steps)) / 2
//   constant      1
// Throws UsageError for an unknown name.
SchedulePoint schedule_at(const ScheduleSettings& settings, std::int64_t step, std::int64_t steps);

// The factor alone.
double schedule_factor(const ScheduleSettings& settings, std::int64_t step, std::int64_t steps);

}  // namespace dermatome::training

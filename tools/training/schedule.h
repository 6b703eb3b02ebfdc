// Learning-rate schedules: the share of the largest rate at each step of a stage.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dermatome::training {

// How a schedule's numbers are set; see schedule_factor.
struct ScheduleSettings {
  std::string name = "use_clr";
  double div = 20;            // largest rate / smallest rate
  std::int64_t cut_div = 10;  // the rate rises for 1/cut_div of the steps
};

std::vector<std::string> schedule_names();

// The factor in (0, 1] at step `step` of `steps` (counted from 0).
//   use_clr   fastai 0.7: cut = max(1, steps / cut_div); p = step/cut up to the cut, then 1 - (step-cut)/(steps-cut);
//             factor (1 + p*(div-1)) / div
//   stlr      Howard & Ruder 2018 (arXiv 1801.06146), slanted triangular with ratio 32 and a tenth rising: use_clr(32,
//   10) constant  1
// Throws UsageError for an unknown name.
double schedule_factor(const ScheduleSettings& settings, std::int64_t step, std::int64_t steps);

}  // namespace dermatome::training

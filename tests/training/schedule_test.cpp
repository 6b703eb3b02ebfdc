// Learning-rate schedules against the vectors of fastai 0.7.
#include "tools/training/schedule.h"

#include <gtest/gtest.h>

#include "tests/data/support.h"

namespace dermatome::training {
namespace {

TEST(Schedule, UseClrFollowsFastai) {
  const ScheduleSettings settings{.name = "use_clr", .div = 20, .cut_div = 8};
  const std::vector<std::pair<std::int64_t, double>> expected{{0, .05},       {1, .0576},     {62, .5212},   {125, 1},
                                                              {126, .998914}, {500, .592857}, {999, .051086}};
  for (const auto& [step, factor] : expected) EXPECT_NEAR(schedule_factor(settings, step, 1000), factor, 5e-7) << step;
}

TEST(Schedule, StlrIsUseClrWithRatio32AndATenth) {
  for (const std::int64_t steps : {1, 7, 200, 1000}) {
    for (std::int64_t step = 0; step < steps; ++step) {
      EXPECT_EQ(schedule_factor({.name = "stlr", .div = 3, .cut_div = 2}, step, steps),
                schedule_factor({.name = "use_clr", .div = 32, .cut_div = 10}, step, steps));
    }
  }
}

// Fewer steps than cut_div: the cut is still one step, and no rate leaves (0, 1].
TEST(Schedule, StaysPositiveForFewSteps) {
  for (const auto& name : schedule_names()) {
    for (std::int64_t steps = 1; steps <= 40; ++steps) {
      double largest = 0;
      for (std::int64_t step = 0; step < steps; ++step) {
        const double factor = schedule_factor({.name = name}, step, steps);
        EXPECT_GT(factor, 0) << name << ' ' << step << '/' << steps;
        EXPECT_LE(factor, 1) << name << ' ' << step << '/' << steps;
        largest = std::max(largest, factor);
      }
      if (steps > 1) {
        EXPECT_DOUBLE_EQ(largest, 1) << name << ' ' << steps;
      }
    }
  }
}

TEST(Schedule, ConstantIsOne) {
  EXPECT_EQ(schedule_factor({.name = "constant"}, 17, 100), 1);
}

TEST(Schedule, UnknownNameSuggestsTheNearest) {
  data::testing::expect_error([] { schedule_factor({.name = "use_clrr"}, 0, 1); },
                              {"'use_clrr'", "did you mean 'use_clr'?"});
}

}  // namespace
}  // namespace dermatome::training

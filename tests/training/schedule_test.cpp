// Learning-rate schedules against the vectors of fastai 0.7.
#include "tools/training/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

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

// ULMFiT's formula divides by cut * (1/cut_frac - 1): the same as T - cut only where T * cut_frac is whole, and
// negative at the end of most short runs.
TEST(Schedule, StlrIsThePapersFormulaWhereATenthIsWholeAndNeverNegative) {
  const auto literal = [](std::int64_t t, std::int64_t steps) {
    const double cut = std::floor(static_cast<double>(steps) * 0.1);
    const auto now = static_cast<double>(t);
    const double p = now < cut ? now / cut : 1 - (now - cut) / (cut * (1 / 0.1 - 1));
    return (1 + p * 31) / 32;
  };
  for (const std::int64_t steps : {10, 50, 1000}) {
    for (std::int64_t t = 0; t < steps; ++t)
      EXPECT_NEAR(schedule_factor({.name = "stlr"}, t, steps), literal(t, steps), 1e-12) << t << '/' << steps;
  }
  EXPECT_LT(literal(18, 19), 0);
  for (std::int64_t steps = 1; steps < 300; ++steps) {
    for (std::int64_t t = 0; t < steps; ++t)
      ASSERT_GE(schedule_factor({.name = "stlr"}, t, steps), 1.0 / 32) << t << '/' << steps;
  }
}

TEST(Schedule, UseClrBetaFollowsFastaiAndMovesTheMomentum) {
  const ScheduleSettings settings{
      .name = "use_clr_beta", .div = 10, .pct = 10, .momentum_high = .95, .momentum_low = .85};
  struct Expected {
    std::int64_t step;
    double factor, beta1;
  };
  for (const auto& [step, factor, beta1] : std::vector<Expected>{
           {0, .1, .95}, {225, .55, .90}, {450, 1, .85}, {900, .1, .95}, {950, .0505, .95}, {999, .00199, .95}}) {
    const SchedulePoint point = schedule_at(settings, step, 1000);
    EXPECT_NEAR(point.factor, factor, 5e-7) << step;
    ASSERT_TRUE(point.beta1.has_value());
    EXPECT_NEAR(*point.beta1, beta1, 1e-12) << step;
  }
}

TEST(Schedule, OneCycleIsUseClrBetaWithSmithsNumbers) {
  const ScheduleSettings other{.name = "one_cycle", .div = 3, .pct = 40, .momentum_high = .5, .momentum_low = .1};
  const ScheduleSettings smith{.name = "use_clr_beta", .div = 10, .pct = 10};
  for (std::int64_t step = 0; step < 77; ++step) {
    EXPECT_EQ(schedule_at(other, step, 77).factor, schedule_at(smith, step, 77).factor);
    EXPECT_EQ(schedule_at(other, step, 77).beta1, schedule_at(smith, step, 77).beta1);
  }
}

TEST(Schedule, CosineFallsFromOneThroughAHalf) {
  EXPECT_EQ(schedule_factor({.name = "cosine"}, 0, 100), 1);
  EXPECT_NEAR(schedule_factor({.name = "cosine"}, 50, 100), 0.5, 1e-12);
  EXPECT_NEAR(schedule_factor({.name = "cosine"}, 99, 100), (1 + std::cos(3.14159265358979 * 0.99)) / 2, 1e-12);
}

// Fewer steps than cut_div or than a cycle has parts: the largest rate still comes, and none leaves (0, 1].
TEST(Schedule, StaysPositiveForFewSteps) {
  for (const auto& name : schedule_names()) {
    for (std::int64_t steps = 1; steps <= 40; ++steps) {
      double largest = 0;
      for (std::int64_t step = 0; step < steps; ++step) {
        const SchedulePoint point = schedule_at({.name = name}, step, steps);
        EXPECT_GT(point.factor, 0) << name << ' ' << step << '/' << steps;
        EXPECT_LE(point.factor, 1) << name << ' ' << step << '/' << steps;
        EXPECT_GE(point.beta1.value_or(.85), .85) << name << ' ' << step << '/' << steps;
        EXPECT_LE(point.beta1.value_or(.95), .95) << name << ' ' << step << '/' << steps;
        largest = std::max(largest, point.factor);
      }
      if (steps > 1) {
        EXPECT_DOUBLE_EQ(largest, 1) << name << ' ' << steps;
      }
    }
  }
}

TEST(Schedule, OfTheWholeRangeOfSettingsStaysPositive) {
  for (const double pct : {0.0, 50.0, 99.0}) {
    for (std::int64_t step = 0; step < 11; ++step) {
      const double factor = schedule_factor({.name = "use_clr_beta", .pct = pct}, step, 11);
      EXPECT_TRUE(factor > 0 && factor <= 1) << pct << ' ' << step << ' ' << factor;
    }
  }
  for (const std::int64_t cut_div : {1, 2, 1000000}) {
    for (std::int64_t step = 0; step < 11; ++step) {
      const double factor = schedule_factor({.name = "use_clr", .cut_div = cut_div}, step, 11);
      EXPECT_TRUE(factor > 0 && factor <= 1) << cut_div << ' ' << step << ' ' << factor;
    }
  }
}

TEST(Schedule, ConstantIsOneAndLeavesTheMomentumAlone) {
  EXPECT_EQ(schedule_factor({.name = "constant"}, 17, 100), 1);
  for (const char* name : {"constant", "cosine", "use_clr", "stlr"})
    EXPECT_FALSE(schedule_at({.name = name}, 17, 100).beta1) << name;
}

TEST(Schedule, UnknownNameSuggestsTheNearest) {
  data::testing::expect_error([] { schedule_factor({.name = "use_clrr"}, 0, 1); },
                              {"'use_clrr'", "did you mean 'use_clr'?"});
}

}  // namespace
}  // namespace dermatome::training

// Curves of learning-rate finders: where they stop, and what they suggest.
#include "tools/training/rate_curve.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/core/philox.h"
#include "tests/data/support.h"

namespace dermatome::training {
namespace {

using data::testing::expect_error;
using data::testing::TemporaryFolder;

TEST(RateSweep, RisesByEqualFactorsOrEqualAmounts) {
  const RateSweep exponential{.start = 1e-5, .end = 10, .steps = 100};
  EXPECT_DOUBLE_EQ(exponential.rate(0), 1e-5);
  EXPECT_NEAR(exponential.rate(50), 1e-2, 1e-9);
  EXPECT_NEAR(exponential.rate(99) / exponential.rate(98), std::pow(10.0, 0.06), 1e-9);
  const RateSweep linear{.linear = true, .end = 0.1, .steps = 100};
  EXPECT_EQ(linear.rate(0), 0);
  EXPECT_DOUBLE_EQ(linear.rate(30), 0.03);
}

TEST(RateSweep, EndsAndLastsAsIsUsualWhereNothingIsSaid) {
  EXPECT_EQ(RateSweep{}.last_rate(), 10);
  EXPECT_EQ(RateSweep{.linear = true}.last_rate(), 0.1);
  EXPECT_EQ((RateSweep{.linear = true, .end = 2}.last_rate()), 2);
  EXPECT_EQ(RateSweep{}.steps_where_an_epoch_has(30), 100);
  EXPECT_EQ(RateSweep{}.steps_where_an_epoch_has(300), 300);
  EXPECT_EQ(RateSweep{.steps = 7}.steps_where_an_epoch_has(300), 7);
  EXPECT_TRUE(RateSweep{}.rises());
  EXPECT_FALSE((RateSweep{.start = 20}.rises()));
  EXPECT_TRUE((RateSweep{.linear = true, .start = 20}.rises()));
}

TEST(SweepRecorder, AverageIsDebiased) {
  SweepRecorder recorder;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(recorder.add(i, 0.7));
  EXPECT_TRUE(recorder.add(5, 1.7));
  const auto points = recorder.take();
  ASSERT_EQ(points.size(), 6u);
  for (int i = 0; i < 5; ++i) EXPECT_NEAR(points[static_cast<std::size_t>(i)].average, 0.7, 1e-12);
  EXPECT_NEAR(points[5].average, 0.7 + 0.02 / (1 - std::pow(0.98, 6)), 1e-9);
}

TEST(SweepRecorder, StopsAtWhatIsNoNumberWithoutKeepingIt) {
  for (const double loss : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    SweepRecorder recorder;
    EXPECT_TRUE(recorder.add(1e-5, 0.7));
    EXPECT_FALSE(recorder.add(1e-4, loss));
    EXPECT_EQ(recorder.take().size(), 1u);
  }
}

TEST(SweepRecorder, StopsAboveFourTimesTheBestAverageBehindStepTen) {
  SweepRecorder recorder;
  EXPECT_TRUE(recorder.add(0, 0.01)) << "a small loss before step 10 is no best";
  for (int i = 1; i < 20; ++i) EXPECT_TRUE(recorder.add(i, 1));
  int more = 0;
  while (recorder.add(20 + more, 10)) ++more;
  const auto points = recorder.take();
  EXPECT_GT(points.back().average, 4 * points[19].average * 0.9);
  EXPECT_LE(points[points.size() - 2].average, 4.0);
  EXPECT_GT(more, 0);
}

// 0.7, falling by 0.4 around `centre` (a power of ten), then exploding two powers later; noise of one standard
// deviation `noise`.
RateCurve made_up(RateSweep sweep, double centre, double noise, std::uint64_t seed) {
  RateCurve curve{.sweep = sweep, .points = {}, .steepest = {}};
  Philox random(seed);
  SweepRecorder recorder;
  for (std::int64_t step = 0; step < sweep.steps; ++step) {
    const double x = std::log10(std::max(sweep.rate(step), 1e-12));
    const double fall = 0.4 / (1 + std::exp(-4 * (x - centre)));
    const double explosion = std::exp(std::min(8.0, 8 * (x - centre - 2)));
    double sum = 0;  // of twelve uniforms: normal enough
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(random.uniform());
    if (!recorder.add(sweep.rate(step), 0.7 - fall + explosion + noise * (sum - 6))) break;
  }
  curve.points = recorder.take();
  find_suggestion(curve);
  return curve;
}

TEST(RateSuggestion, IsWhereTheLossFallsSteepestHoweverNoisy) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    for (const double noise : {0.0, 0.01, 0.03}) {
      for (const std::int64_t steps : {100, 400}) {
        const auto curve = made_up({.steps = steps}, -3, noise, seed);
        ASSERT_TRUE(curve.steepest) << noise << ' ' << seed;
        EXPECT_NEAR(std::log10(*curve.steepest), -3, 0.31) << noise << ' ' << seed << ' ' << steps;
        EXPECT_GT(curve.lowest, *curve.steepest);
        EXPECT_LT(curve.lowest, 0.1);
      }
    }
  }
}

// Small batches: a slope within one window is lost in the noise, the whole fall is not.
TEST(RateSuggestion, IsThereWhereOnlyTheWholeFallIsClear) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const auto curve = made_up({.steps = 85}, -3, 0.06, seed);
    ASSERT_TRUE(curve.steepest) << seed;
    EXPECT_NEAR(std::log10(*curve.steepest), -3, 1) << seed;
  }
}

TEST(RateSuggestion, OfALinearSweepIsAsGood) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    for (const double noise : {0.0, 0.01, 0.03}) {
      const auto curve = made_up({.linear = true, .end = 0.1, .steps = 100}, -2, noise, seed);
      ASSERT_TRUE(curve.steepest) << noise << ' ' << seed;
      EXPECT_NEAR(std::log10(*curve.steepest), -2, 0.31) << noise << ' ' << seed;
      EXPECT_TRUE(std::isnan(curve.points[0].smoothed)) << "rate 0 has no logarithm";
    }
  }
}

TEST(RateSuggestion, ThereIsNoneForNoiseOrARise) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const auto noise = made_up({.steps = 100}, 9, 0.03, seed);
    EXPECT_EQ(noise.points.size(), 100u);
    EXPECT_FALSE(noise.steepest) << seed << ": " << *noise.steepest;
    const auto rise = made_up({.start = 1e-2, .end = 10, .steps = 100}, -4, 0.01, seed);
    EXPECT_FALSE(rise.steepest) << seed << ": " << *rise.steepest;
  }
}

TEST(RateSuggestion, NeedsSomePoints) {
  for (const std::int64_t steps : {0, 1, 3}) {
    const auto curve = made_up({.steps = steps}, -3, 0, 1);
    EXPECT_FALSE(curve.steepest);
  }
}

TEST(RateCurve, IsReadBackFromItsFile) {
  const TemporaryFolder folder;
  const auto curve = made_up({.linear = true, .end = 0.1, .steps = 20}, -2, 0.01, 3);
  folder.add("curve.csv", std::string_view(to_csv(curve)));
  const auto points = read_rate_curve(folder / "curve.csv");
  ASSERT_EQ(points.size(), 20u);
  EXPECT_TRUE(std::isnan(points[0].smoothed));
  EXPECT_NEAR(points[7].rate, curve.points[7].rate, 1e-9);
  EXPECT_NEAR(points[7].smoothed, curve.points[7].smoothed, 1e-8);
  folder.add("curve.csv", std::string_view("step,loss\n0,1\n"));
  expect_error([&] { read_rate_curve(folder / "curve.csv"); }, {"curve.csv", "learning-rate finder's curve"});
}

TEST(RateCurve, FoundRatesHaveThreeDigits) {
  EXPECT_EQ(rounded_rate(0.00316227766), 0.00316);
  EXPECT_EQ(rounded_rate(1.99526e-5), 2e-5);
}

}  // namespace
}  // namespace dermatome::training

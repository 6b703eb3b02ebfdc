// Intervals of means, and the groups by lesion size.
#include "tools/training/evaluation_statistics.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using testing::expect_error;

TEST(BootstrapInterval, HoldsTheMeanAndIsRepeatable) {
  std::vector<double> values(50);
  std::iota(values.begin(), values.end(), 0.0);
  const auto interval = bootstrap_interval(values, 1);
  // sd / sqrt(n) is 2.04 here; 1.96 of these on each side of 24.5.
  EXPECT_NEAR(interval.low, 20.5, 0.6);
  EXPECT_NEAR(interval.high, 28.5, 0.6);
  EXPECT_EQ(bootstrap_interval(values, 1).low, interval.low);
  EXPECT_NE(bootstrap_interval(values, 2).low, interval.low);
  EXPECT_EQ(bootstrap_interval({0.25}, 1).high, 0.25);
  expect_error([] { bootstrap_interval({}, 1); }, {"at least one value"});
}

TEST(BootstrapInterval, CoversTheMeanAsOftenAsItSays) {
  Philox random(3);
  int covered = 0;
  constexpr int kTrials = 200;
  for (std::uint64_t trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values;
    for (int i = 0; i < 40; ++i) values.push_back(static_cast<double>(random.uniform()));
    const auto interval = bootstrap_interval(values, trial);
    covered += interval.low <= 0.5 && 0.5 <= interval.high;
  }
  EXPECT_GE(covered, kTrials * 89 / 100);
  EXPECT_LE(covered, kTrials * 99 / 100);
}

std::vector<SizedScores> sized(const std::vector<double>& shares) {
  std::vector<SizedScores> images;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    images.push_back({.truth_share = shares[i]});
    images.back().scores[kJaccard] = shares[i] / 2;
    images.back().scores[kDice] = 1;
  }
  return images;
}

TEST(SizeQuarters, CutTheSortedLesionsIntoFour) {
  // Ten lesions: 2, 3, 2 and 3 of them; photographs without one are left out.
  const auto quarters = size_quarters(sized({.9, 0, .1, .3, .2, .8, .4, 0, .5, .6, .7, .05}), 1);
  ASSERT_EQ(quarters.size(), 4u);
  const std::vector<std::size_t> counts{2, 3, 2, 3};
  const std::vector<double> smallest{.05, .2, .5, .7}, largest{.1, .4, .6, .9}, means{.0375, .15, .275, .4};
  for (std::size_t q = 0; q < 4; ++q) {
    EXPECT_EQ(quarters[q].images, counts[q]);
    EXPECT_EQ(quarters[q].smallest_share, smallest[q]);
    EXPECT_EQ(quarters[q].largest_share, largest[q]);
    EXPECT_NEAR(quarters[q].means[kJaccard], means[q], 1e-12);
    EXPECT_NEAR(quarters[q].means[kDice], 1, 1e-12);
    EXPECT_LE(quarters[q].jaccard.low, means[q]);
    EXPECT_GE(quarters[q].jaccard.high, means[q]);
  }
}

TEST(SizeQuarters, NeedEightLesions) {
  EXPECT_EQ(size_quarters(sized({.1, .2, .3, .4, .5, .6, .7, 0, 0}), 1).size(), 0u);
  EXPECT_EQ(size_quarters(sized({.1, .2, .3, .4, .5, .6, .7, .7}), 1).size(), 4u);
  EXPECT_TRUE(size_quarters({}, 1).empty());
}

}  // namespace
}  // namespace dermatome::training

// The threshold of a run: the same scores as cutting and counting gives, kept beside the checkpoint that they are of.
#include "tools/training/threshold_search.h"

#include <gtest/gtest.h>

#include "tests/training/support.h"
#include "tools/training/evaluation_scores.h"

namespace dermatome::training {
namespace {

using namespace testing;

TEST(ThresholdCurve, IsWhatCuttingAndCountingGives) {
  Philox random(3);
  const data::StoredGrid grid{.width = 23, .height = 17};
  std::vector<float> map;
  for (int i = 0; i < 64; ++i) map.push_back(random.uniform());
  for (std::size_t t = 0; t < kThresholds; t += 6) map[t] = static_cast<float>(threshold_at(t));
  data::Image truth = disc_pair(23, 17, 4).mask;
  const auto curve = curve_of(to_stored_grid(map, 8, grid, 0.5, true).probability, truth);
  EXPECT_EQ(curve.photographs, 1u);
  for (std::size_t t = 0; t < kThresholds; ++t) {
    const auto cut = to_stored_grid(map, 8, grid, threshold_at(t));
    EXPECT_EQ(curve.jaccard[t], scores_of(count_pixels(cut.mask, truth))[kJaccard]) << threshold_at(t);
  }
}

TEST(ThresholdCurve, AValueAtAThresholdIsNotAboveIt) {
  const data::Image truth = data::make_image(kThresholds, 1, 1, 255);
  std::vector<float> probability;
  for (std::size_t t = 0; t < kThresholds; ++t) probability.push_back(static_cast<float>(threshold_at(t)));
  const auto curve = curve_of(probability, truth);
  for (std::size_t t = 0; t < kThresholds; ++t) {
    EXPECT_EQ(curve.jaccard[t], static_cast<double>(kThresholds - 1 - t) / kThresholds) << threshold_at(t);
  }
  expect_error([&] { curve_of(std::span(probability).first(3), truth); }, {"3 probabilities"});
}

ThresholdCurve peaked(double at, double height, std::size_t photographs) {
  ThresholdCurve curve{.photographs = photographs};
  for (std::size_t t = 0; t < kThresholds; ++t) curve.jaccard[t] = height - std::abs(threshold_at(t) - at);
  return curve;
}

TEST(BestThreshold, IsThatOfTheMeanOverAllPhotographs) {
  const auto best = best_of(peaked(0.3, 0.9, 1));
  EXPECT_DOUBLE_EQ(best.threshold, 0.3);
  EXPECT_DOUBLE_EQ(best.jaccard, 0.9);
  EXPECT_DOUBLE_EQ(best.jaccard_at_half, 0.7);
  const std::vector<ThresholdCurve> curves{peaked(0.3, 0.9, 1), peaked(0.6, 0.8, 3)};
  EXPECT_EQ(pooled(curves).photographs, 4u);
  EXPECT_DOUBLE_EQ(best_of(pooled(curves)).threshold, 0.6);
}

TEST(BestThreshold, OfEqualOnesIsTheClosestToTheMiddle) {
  ThresholdCurve flat{.photographs = 1};
  EXPECT_DOUBLE_EQ(best_of(flat).threshold, 0.5);
  flat.jaccard[3] = flat.jaccard[30] = flat.jaccard[40] = 1;
  EXPECT_DOUBLE_EQ(best_of(flat).threshold, threshold_at(30));
}

TEST(StoredCurve, IsTakenForNothingElse) {
  const TemporaryFolder folder;
  const ThresholdKey key{.checkpoint = "best.safetensors", .steps_done = 12, .size = 32};
  const auto curve = peaked(0.42, 0.7, 9);
  EXPECT_FALSE(stored_curve(folder.path(), key));
  store_curve(folder.path(), key, curve);
  ThresholdKey turned = key;
  turned.augmentation = TestTimeAugmentation::flips;
  EXPECT_FALSE(stored_curve(folder.path(), turned));
  store_curve(folder.path(), turned, peaked(0.6, 0.7, 9));
  ASSERT_TRUE(stored_curve(folder.path(), key)) << "both are kept";
  EXPECT_EQ(stored_curve(folder.path(), key)->jaccard, curve.jaccard);
  EXPECT_EQ(stored_curve(folder.path(), key)->photographs, 9u);
  for (ThresholdKey other : {ThresholdKey{"last.safetensors", 12, 32}, ThresholdKey{"best.safetensors", 13, 32},
                             ThresholdKey{"best.safetensors", 12, 48}}) {
    EXPECT_FALSE(stored_curve(folder.path(), other));
  }
  ThresholdKey later = key;
  later.steps_done = 20;
  store_curve(folder.path(), later, curve);
  EXPECT_FALSE(stored_curve(folder.path(), key)) << "an older state is forgotten";
  folder.add(kThresholdFile, std::string_view("[{\"of\": 3}, {\"jaccard\": []}"));
  EXPECT_FALSE(stored_curve(folder.path(), later));
  store_curve(folder.path(), later, curve);
  EXPECT_TRUE(stored_curve(folder.path(), later)) << "a damaged file is replaced";
}

}  // namespace
}  // namespace dermatome::training

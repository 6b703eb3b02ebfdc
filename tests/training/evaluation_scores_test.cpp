// Scores of single masks: by hand, in empty cases, and beside those of the challenge's own scorer.
#include "tools/training/evaluation_scores.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/training/support.h"
#include "tools/training/evaluation_masks.h"

namespace dermatome::training {
namespace {

using namespace testing;

data::Image mask_of(const std::vector<std::uint8_t>& pixels) {
  return {.width = 4, .height = 4, .channels = 1, .pixels = pixels};
}

void expect_scores(const data::Image& predicted, const data::Image& truth, const Scores& expected) {
  const Scores scores = scores_of(count_pixels(predicted, truth));
  for (std::size_t m = 0; m < kMetrics; ++m) EXPECT_DOUBLE_EQ(scores[m], expected[m]) << kMetricNames[m];
}

TEST(Scores, EqualThoseComputedByHand) {
  // TP 4, FP 4, FN 2, TN 6: 128 is background, 129 is lesion.
  expect_scores(mask_of({255, 255, 128, 0, 255, 129, 0, 0, 255, 255, 9, 9, 255, 255, 0, 0}),
                mask_of({255, 128, 129, 0, 255, 0, 255, 0, 255, 0, 0, 0, 129, 0, 0, 0}),
                {4.0 / 10, 0, 8.0 / 14, 10.0 / 16, 4.0 / 6, 6.0 / 10});
  // TP 4, FP 1, FN 0, TN 11: above the threshold of .65.
  expect_scores(mask_of({255, 255, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0}),
                mask_of({255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0}),
                {0.8, 0.8, 8.0 / 9, 15.0 / 16, 1, 11.0 / 12});
}

TEST(Scores, ThresholdedJaccardKeepsExactlyTheThreshold) {
  EXPECT_EQ(scores_of({.true_positive = 13, .false_positive = 7})[kThresholdedJaccard], 0.65);
  EXPECT_EQ(scores_of({.true_positive = 1299, .false_positive = 701})[kThresholdedJaccard], 0);
}

TEST(Scores, OfNothingAreOne) {
  const auto empty = mask_of(std::vector<std::uint8_t>(16, 0));
  const auto full = mask_of(std::vector<std::uint8_t>(16, 255));
  auto one = empty;
  one.pixels[3] = 255;
  expect_scores(empty, empty, {1, 1, 1, 1, 1, 1});
  expect_scores(one, empty, {0, 0, 0, 15.0 / 16, 1, 15.0 / 16});
  expect_scores(full, full, {1, 1, 1, 1, 1, 1});
  expect_scores(empty, full, {0, 0, 0, 0, 0, 1});
}

TEST(Scores, NeedMasksOfOneSize) {
  expect_error([] { count_pixels(data::make_image(4, 4, 1), data::make_image(4, 5, 1)); }, {"4x4", "4x5"});
  expect_error([] { count_pixels(data::make_image(4, 4, 3), data::make_image(4, 4, 1)); }, {"one channel"});
}

TEST(Scores, CountPicturesOfMoreThanSixteenMillionPixels) {
  const auto all = data::make_image(5000, 5000, 1, 255);
  auto some = all;
  some.pixels[7] = 0;
  EXPECT_EQ(count_pixels(some, all), (PixelCounts{.true_positive = 24'999'999, .false_negative = 1}));
}

// tests/golden/official_scores.json was written by bench/official_scores.py from the scorer's own output.
TEST(Scores, EqualTheOfficialScorers) {
  const auto folder = std::filesystem::path(DERMATOME_SOURCE_DIR) / "tests/golden/official_scores";
  const auto golden = nlohmann::json::parse(text_of(folder / "scores.json"));
  const auto evaluation = evaluate_masks(pair_masks(folder / "predictions", folder / "truth").pairs);
  ASSERT_EQ(evaluation.images.size(), golden.at("per_image").size());
  ASSERT_GE(evaluation.images.size(), 8u);
  for (const auto& image : evaluation.images) {
    const auto& expected = golden.at("per_image").at(image.id);
    for (std::size_t m = 0; m < kMetrics; ++m) {
      EXPECT_NEAR(image.scores[m], expected.at(kMetricNames[m]).get<double>(), 1e-12)
          << image.id << ' ' << kMetricNames[m];
    }
  }
  const Scores means = evaluation.means();
  for (std::size_t m = 0; m < kMetrics; ++m) {
    EXPECT_NEAR(means[m], golden.at("mean").at(kMetricNames[m]).get<double>(), 1e-12) << kMetricNames[m];
  }
}

}  // namespace
}  // namespace dermatome::training

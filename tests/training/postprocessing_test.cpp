// Post-processing of a prediction: the mask changes, and every figure of it follows.
#include "tools/training/postprocessing.h"

#include <gtest/gtest.h>

#include "tests/training/support.h"

namespace dermatome::training {
namespace {

// A ring of lesion in the upper left, and a single pixel of it in the lower right.
Prediction ring_and_dot() {
  Prediction prediction{.width = 8, .height = 6, .mask = data::make_image(8, 6, 1)};
  prediction.probability.assign(48, 0.25f);
  const auto mark = [&](int x, int y) {
    prediction.mask.row(y)[x] = 255;
    prediction.probability[prediction.mask.offset(x, y)] = 0.75f;
    ++prediction.lesion_pixels;
  };
  for (int i = 1; i <= 3; ++i) {
    for (const int j : {1, 3}) mark(i, j);
  }
  mark(1, 2);
  mark(3, 2);
  mark(7, 5);
  prediction.box = {.left = 1, .top = 1, .right = 8, .bottom = 6};
  prediction.lesion_probability = 0.75;
  return prediction;
}

TEST(PostProcessing, FiguresFollowTheMask) {
  Prediction filled = ring_and_dot();
  apply({.fill_holes = true}, filled);
  EXPECT_EQ(filled.lesion_pixels, 10);
  EXPECT_NEAR(filled.lesion_probability, (9 * 0.75 + 0.25) / 10, 1e-9);
  EXPECT_EQ(filled.box, (Box{.left = 1, .top = 1, .right = 8, .bottom = 6}));
  Prediction largest = ring_and_dot();
  apply({.keep_largest = true}, largest);
  EXPECT_EQ(largest.lesion_pixels, 8);
  EXPECT_EQ(largest.box, (Box{.left = 1, .top = 1, .right = 4, .bottom = 4}));
  EXPECT_EQ(largest.mask.row(5)[7], 0);
}

TEST(PostProcessing, SmallRegionsGoByTheirShareOfThePhotograph) {
  Prediction one = ring_and_dot();
  apply({.min_area = 2.0 / 48}, one);
  EXPECT_EQ(one.lesion_pixels, 8);
  apply({.min_area = 0.5}, one);
  EXPECT_TRUE(one.is_empty());
  EXPECT_EQ(one.box, Box{});
  EXPECT_EQ(one.lesion_probability, 0);
}

// Filled, the ring has 9 pixels: a minimum of 9 leaves it.
TEST(PostProcessing, HolesAreFilledBeforeAreasAreTaken) {
  Prediction prediction = ring_and_dot();
  apply({.fill_holes = true, .min_area = 9.0 / 48, .keep_largest = true}, prediction);
  EXPECT_EQ(prediction.lesion_pixels, 9);
}

TEST(PostProcessing, SaysWhatItDoes) {
  EXPECT_EQ((PostProcessing{.fill_holes = true, .min_area = 0.001, .keep_largest = true}).text(),
            "fill-holes, min-area 0.001, keep-largest");
  EXPECT_EQ(PostProcessing{}.text(), "");
  Prediction prediction = ring_and_dot();
  const data::Image before = prediction.mask;
  apply({}, prediction);
  EXPECT_EQ(prediction.mask, before);
}

}  // namespace
}  // namespace dermatome::training

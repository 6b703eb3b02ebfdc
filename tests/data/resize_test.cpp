// Resizing against a naive double-precision reference and against values worked out by hand.
#include "data/image/resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::expect_error;
using testing::random_image;

// Weight of source pixel i for output pixel o, by the definitions in resize.h.
double naive_weight(int in, int out, int o, int i) {
  const double ratio = static_cast<double>(in) / out;
  if (out <= in) return std::max(0.0, std::min((o + 1) * ratio, i + 1.0) - std::max(o * ratio, i + 0.0)) / ratio;
  const double centre = std::clamp((o + 0.5) * ratio - 0.5, 0.0, in - 1.0);
  return std::max(0.0, 1 - std::abs(centre - i));
}

double naive_value(const Image& image, int width, int height, int x, int y, int c) {
  double sum = 0;
  for (int j = 0; j < image.height; ++j) {
    const double down = naive_weight(image.height, height, y, j);
    if (down == 0) continue;
    for (int i = 0; i < image.width; ++i) {
      sum += down * naive_weight(image.width, width, x, i) * image.row(j)[i * image.channels + c];
    }
  }
  return sum;
}

void expect_as_naive(const Image& image, int width, int height) {
  const Image result = resize(image, width, height);
  ASSERT_EQ(result.width, width);
  ASSERT_EQ(result.height, height);
  ASSERT_EQ(result.channels, image.channels);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < image.channels; ++c) {
        // Within rounding of the exact mean; 1e-9 lets the reference miss a tie.
        ASSERT_LE(std::abs(result.row(y)[x * image.channels + c] - naive_value(image, width, height, x, y, c)),
                  0.5 + 1e-9)
            << image.width << "x" << image.height << " to " << width << "x" << height << " at " << x << "," << y;
      }
    }
  }
}

TEST(Resize, MatchesTheNaiveMeanWhenShrinking) {
  expect_as_naive(random_image(67, 41, 3, 1), 16, 16);
  expect_as_naive(random_image(64, 48, 3, 2), 32, 24);
  expect_as_naive(random_image(31, 33, 1, 3), 30, 1);
  expect_as_naive(random_image(5, 7, 1, 4), 1, 1);
  expect_as_naive(random_image(129, 3, 3, 5), 128, 3);
}

TEST(Resize, MatchesTheNaiveInterpolationWhenEnlarging) {
  expect_as_naive(random_image(7, 5, 3, 6), 19, 23);
  expect_as_naive(random_image(1, 1, 3, 7), 4, 3);
  expect_as_naive(random_image(16, 16, 1, 8), 17, 64);
}

TEST(Resize, TakesEachAxisByItself) {
  expect_as_naive(random_image(40, 6, 3, 9), 9, 20);
  expect_as_naive(random_image(6, 40, 1, 10), 20, 9);
}

TEST(Resize, RoundsTheMeanHalfUp) {
  const Image image{.width = 4, .height = 2, .channels = 1, .pixels = {1, 2, 10, 20, 1, 2, 30, 41}};
  EXPECT_EQ(resize(image, 2, 1).pixels, (std::vector<std::uint8_t>{2, 25}));  // 1.5 and 25.25
}

TEST(Resize, CountsCutPixelsByTheirFraction) {
  const Image image{.width = 3, .height = 1, .channels = 1, .pixels = {0, 90, 240}};
  EXPECT_EQ(resize(image, 2, 1).pixels, (std::vector<std::uint8_t>{30, 190}));  // (0 + 90/2) / 1.5, (90/2 + 240) / 1.5
}

TEST(Resize, InterpolatesAtHalfPixelCentres) {
  const Image image{.width = 2, .height = 1, .channels = 1, .pixels = {0, 100}};
  EXPECT_EQ(resize(image, 4, 1).pixels, (std::vector<std::uint8_t>{0, 25, 75, 100}));
}

TEST(Resize, KeepsAnImageOfTheRightSize) {
  const Image image = random_image(9, 8, 3, 11);
  EXPECT_EQ(resize(image, 9, 8), image);
}

TEST(Resize, DoesNotOverflowOnTheLongestSides) {
  EXPECT_EQ(resize(make_image(kMaxResizeSide, 2, 1, 255), 1, 1).pixels.at(0), 255);
  EXPECT_EQ(resize(make_image(2, kMaxResizeSide, 3, 255), 1, 1), make_image(1, 1, 3, 255));
  EXPECT_EQ(resize(make_image(2000, 30000, 1, 255), 1, 1).pixels.at(0), 255);
  EXPECT_EQ(resize(make_image(1, 1, 1, 255), kMaxResizeSide, 2), make_image(kMaxResizeSide, 2, 1, 255));
}

TEST(Resize, RefusesSidesOutsideItsRange) {
  const Image image = make_image(2, 2, 1);
  expect_error([&] { resize(image, 0, 2); }, {"0x2"});
  expect_error([&] { resize(image, 2, kMaxResizeSide + 1); }, {"30001"});
  expect_error([] { resize(Image{.width = 2, .height = 2, .channels = 3, .pixels = {1}}, 1, 1); }, {"12 bytes, not 1"});
}

TEST(ResizeMask, CutsTheMeanAboveOneHundredAndTwentySeven) {
  const Image mask{.width = 6,
                   .height = 2,
                   .channels = 1,
                   .pixels = {255, 0, 255, 0, 255, 255,  //
                              0, 0, 0, 255, 255, 255}};
  EXPECT_EQ(resize_mask(mask, 3, 1).pixels, (std::vector<std::uint8_t>{0, 255, 255}));  // 63.75, 127.5, 255
  const Image grey{.width = 2, .height = 1, .channels = 1, .pixels = {127, 128}};
  EXPECT_EQ(resize_mask(grey, 2, 1).pixels, (std::vector<std::uint8_t>{0, 255}));
}

TEST(ResizeMask, RefusesColour) {
  expect_error([] { resize_mask(make_image(2, 2, 3), 1, 1); }, {"one channel, not 3"});
}

}  // namespace
}  // namespace dermatome::data

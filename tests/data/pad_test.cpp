// Padding to a size that a network takes.
#include "data/image/pad.h"

#include <gtest/gtest.h>

#include "engine/core/error.h"

namespace dermatome::data {
namespace {

TEST(Pad, RepeatsTheLastColumnAndRow) {
  const Image image{.width = 2, .height = 2, .channels = 2, .pixels = {1, 2, 3, 4, 5, 6, 7, 8}};
  const Image padded = pad(image, 4, 3);
  const std::vector<std::uint8_t> expected{1, 2, 3, 4, 3, 4, 3, 4, 5, 6, 7, 8, 7, 8, 7, 8, 5, 6, 7, 8, 7, 8, 7, 8};
  EXPECT_EQ(padded.pixels, expected);
  EXPECT_EQ(padded.width, 4);
  EXPECT_EQ(padded.height, 3);
  EXPECT_EQ(pad(image, 2, 2), image);
  EXPECT_THROW(pad(image, 1, 2), Error);
  EXPECT_THROW(pad({}, 1, 2), Error);
}

TEST(Pad, IsCutBack) {
  const std::vector<float> map{1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_EQ(cut(map, 3, 2, 2), (std::vector<float>{1, 2, 4, 5}));
  EXPECT_EQ(cut(map, 3, 3, 3), map);
}

}  // namespace
}  // namespace dermatome::data

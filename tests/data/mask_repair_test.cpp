// Which masks are repaired, how, and which are refused.
#include "data/mask_repair.h"

#include <gtest/gtest.h>

#include "data/image/resize.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::disc;
using testing::expect_error;

RepairedMask repaired(const Image& mask, const StoredGrid& grid) {
  return repair_mask(Mask{.grey = mask}, grid, "m.png", "p.jpg");
}

TEST(RepairMask, LeavesACleanMaskAsItIs) {
  const Image mask = disc(100, 80, 30);
  const RepairedMask result = repaired(mask, {.width = 100, .height = 80});
  EXPECT_EQ(result.mask, mask);
  EXPECT_FALSE(result.repairs.any());
}

TEST(RepairMask, CutsGreyEdgesAbove127) {
  Image mask = disc(50, 50, 15);
  mask.pixels[0] = 127;
  mask.pixels[2499] = 128;
  const RepairedMask result = repaired(mask, {.width = 50, .height = 50});
  EXPECT_TRUE(result.repairs.grey_edged);
  EXPECT_EQ(result.mask.pixels[0], 0);
  EXPECT_EQ(result.mask.pixels[2499], 255);
}

TEST(RepairMask, TakesAMaskOfAnotherSizeButTheSameShape) {
  const StoredGrid grid{.width = 1022, .height = 767};
  for (const auto& [width, height] : {std::pair{511, 383}, {511, 384}, {1024, 768}, {2044, 1534}, {128, 96}}) {
    const RepairedMask result = repaired(disc(width, height, 40), grid);
    EXPECT_TRUE(result.repairs.resized) << width;
    EXPECT_EQ(result.mask.width, width) << "kept until it is brought to the size that is wanted";
    const Image stored = at_stored_size(result, grid);
    EXPECT_EQ(stored.width, 1022);
    EXPECT_EQ(stored.height, 767);
    EXPECT_EQ(stored.pixels[stored.offset(511, 383)], 255);
    EXPECT_EQ(stored.pixels[0], 0);
  }
}

TEST(RepairMask, RefusesAnotherShapeAndTooFewPixels) {
  const StoredGrid grid{.width = 1022, .height = 767};
  for (const auto& [width, height] : {std::pair{767, 1022}, {256, 256}, {1022, 760}, {4, 3}, {60, 45}}) {
    expect_error([&] { repaired(disc(width, height, 1), grid); },
                 {fmt::format("m.png is {}x{} pixels but its photograph p.jpg is 1022x767", width, height)});
  }
}

TEST(RepairMask, TurnsAMaskThatWasDrawnOnTheUprightPhotograph) {
  const StoredGrid grid{.width = 100, .height = 80, .orientation = Orientation::quarter_clockwise};
  Image upright = make_image(80, 100, 1);
  std::fill_n(upright.row(0), 80, std::uint8_t{255});  // the top of what the viewer shows
  const RepairedMask result = repaired(upright, grid);
  EXPECT_TRUE(result.repairs.turned);
  EXPECT_FALSE(result.repairs.resized);
  EXPECT_EQ(result.mask, to_stored(upright, Orientation::quarter_clockwise));
  EXPECT_EQ(result.mask.width, 100);
  const RepairedMask stored = repaired(disc(100, 80, 20), grid);
  EXPECT_FALSE(stored.repairs.turned) << "a mask in the stored grid stays there";
}

TEST(RepairMask, RefusesSeveralClasses) {
  Image mask = disc(60, 60, 20);
  std::fill_n(mask.pixels.begin(), 300, std::uint8_t{128});
  expect_error([&] { repaired(mask, {.width = 60, .height = 60}); }, {"m.png is no lesion mask", "areas of 3 values"});
}

}  // namespace
}  // namespace dermatome::data

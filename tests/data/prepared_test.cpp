// Photographs at a training size: reduced decoding beside full decoding, turning, and memory for large ones.
#include "data/prepared.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "data/image/resize.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::Bytes;
using testing::disc;
using testing::exif_block;
using testing::expect_error;
using testing::make_jpeg;
using testing::random_image;
using testing::smooth_image;

int largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.pixels.size(), b.pixels.size());
  int largest = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
  return largest;
}

TEST(ReductionOf, LeavesTwiceTheAskedForSides) {
  const ImageInfo info{.width = 1600, .height = 1200};
  EXPECT_EQ(reduction_of(info, 150, 150), 8);
  EXPECT_EQ(reduction_of(info, 151, 150), 8);
  EXPECT_EQ(reduction_of(info, 150, 151), 4);
  EXPECT_EQ(reduction_of(info, 600, 600), 2);
  EXPECT_EQ(reduction_of(info, 601, 601), 1);
  EXPECT_EQ(reduction_of({.format = FileFormat::png, .width = 1600, .height = 1200}, 10, 10), 1);
}

TEST(ResizeReduced, CountsTheLastPixelByWhatItStandsFor) {
  // 9 columns reduced by 8: the second pixel stands for one column, so it is a ninth of the mean of all.
  Image reduced = make_image(2, 1, 1);
  reduced.pixels = {90, 180};
  EXPECT_EQ(resize_reduced(reduced, 8, 9, 1, 1, 1).pixels, (Bytes{100}));
  const Image full = random_image(64, 48, 3, 1);
  EXPECT_EQ(resize_reduced(full, 1, 64, 48, 10, 10), resize(full, 10, 10));
  const Image half = resize(full, 32, 24);  // exact means but for their rounding
  EXPECT_LE(largest_difference(resize_reduced(half, 2, 64, 48, 8, 8), resize(full, 8, 8)), 1);
  expect_error([&] { resize_reduced(half, 2, 66, 48, 8, 8); }, {"32x24", "66x48", "reduced by 2"});
  expect_error([&] { resize_reduced(half, 2, 64, 48, 33, 8); }, {"cannot grow"});
}

TEST(PreparePhotograph, IsCloseToFullDecoding) {
  for (const auto& [width, height] : {std::pair{640, 480}, {1003, 517}, {2049, 1537}}) {
    const Image image = smooth_image(width, height);
    for (const bool progressive : {false, true}) {
      const Bytes bytes =
          make_jpeg(image.pixels, width, height, {.progressive = progressive, .luma_h = 2, .luma_v = 2});
      const PreparedPhotograph prepared = prepare_photograph(bytes, "a.jpg", 64);
      EXPECT_LE(largest_difference(prepared.image, resize(decode_rgb(bytes, "a.jpg").image, 64, 64)), 3) << width;
      EXPECT_EQ(prepared.stored, (StoredGrid{.width = width, .height = height}));
    }
  }
}

TEST(PreparePhotograph, DecodesFullyWhereTheSizeIsNear) {
  const Image image = random_image(200, 190, 3, 2);
  const Bytes bytes = make_jpeg(image.pixels, 200, 190, {});
  EXPECT_EQ(prepare_photograph(bytes, "a.jpg", 96).image, resize(decode_rgb(bytes, "a.jpg").image, 96, 96));
  EXPECT_EQ(prepare_photograph(bytes, "a.jpg", 300).image, resize(decode_rgb(bytes, "a.jpg").image, 300, 300));
}

TEST(PreparePhotograph, TurnsAsDecodingDoes) {
  const Image image = smooth_image(640, 480);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Bytes bytes = make_jpeg(image.pixels, 640, 480, {.app1 = exif_block(orientation, true)});
    const Image full = resize(decode_rgb(bytes, "a").image, 60, 60);
    EXPECT_LE(largest_difference(prepare_photograph(bytes, "a", 60).image, full), 3) << orientation;
  }
}

// Rows and columns behind the content repeat its last ones.
void expect_padded(const Image& image, const Image& content) {
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const std::size_t from = content.offset(std::min(x, content.width - 1), std::min(y, content.height - 1));
      for (std::size_t c = 0; c < static_cast<std::size_t>(image.channels); ++c)
        ASSERT_EQ(image.pixels[image.offset(x, y) + c], content.pixels[from + c]) << x << ' ' << y;
    }
  }
}

TEST(PreparePair, PadsPhotographAndMaskAlikeInWhateverWayTheyAreStored) {
  const Image photograph = smooth_image(120, 80);
  const Image mask = disc(120, 80, 30);
  const Preparation padded(48, Resize::pad, ColourConstancy::none);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Bytes bytes = make_jpeg(photograph.pixels, 120, 80, {.app1 = exif_block(orientation, true)});
    const PreparedPair pair =
        prepare_pair({.id = "a", .image = "a.jpg", .mask = "a.png"}, bytes, encode_png(mask), padded);
    const auto turned = static_cast<Orientation>(orientation);
    ASSERT_EQ(pair.photograph.image.width, 48);
    ASSERT_EQ(pair.mask.height, 48);
    const Sides content = upright_content_of(padded, pair.photograph.stored);
    EXPECT_EQ(content.width, swaps_sides(turned) ? 32 : 48);
    EXPECT_EQ(content.height, swaps_sides(turned) ? 48 : 32);
    const Image full = resize(decode_rgb(bytes, "a").image, content.width, content.height);
    Image seen = make_image(content.width, content.height, 3);
    for (int y = 0; y < content.height; ++y) std::copy_n(pair.photograph.image.row(y), seen.row_bytes(), seen.row(y));
    EXPECT_LE(largest_difference(seen, full), 3) << orientation;
    expect_padded(pair.photograph.image, seen);
    expect_padded(pair.mask, to_upright(resize_mask(mask, 48, 32), turned));
  }
}

TEST(PreparePhotograph, BalancesColoursBehindResizing) {
  Image image = random_image(90, 60, 3, 3);
  for (std::size_t i = 2; i < image.pixels.size(); i += 3) image.pixels[i] /= 2;  // less blue
  for (const auto method : {ColourConstancy::gray_world, ColourConstancy::shades_of_gray, ColourConstancy::max_rgb}) {
    Image expected = resize(image, 32, 32);
    balance_colours(expected, method);
    EXPECT_EQ(prepare_photograph(encode_png(image), "a.png", {32, Resize::squash, method}).image, expected);
    EXPECT_NE(expected, resize(image, 32, 32));
  }
}

TEST(ResizeMaskNearest, TakesThePixelThatTheCornerLiesIn) {
  Image mask = make_image(5, 1, 1);
  mask.pixels = {0, 255, 0, 255, 127};
  EXPECT_EQ(resize_mask_nearest(mask, 3, 1).pixels, (Bytes{0, 255, 255}));  // of columns 0, 1, 3
  EXPECT_EQ(resize_mask_nearest(mask, 10, 2).pixels,
            (Bytes{0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 0, 0, 255, 255, 0, 0, 255, 255, 0, 0}));
}

}  // namespace
}  // namespace dermatome::data

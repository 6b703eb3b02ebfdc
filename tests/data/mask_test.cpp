// Masks as people store them: what is read, what is repaired, what is refused.
#include <gtest/gtest.h>

#include <algorithm>

#include "data/codec.h"
#include "data/image/resize.h"
#include "data/mask_values.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::Bytes;
using testing::disc;
using testing::exif_block;
using testing::expect_error;
using testing::grey_png;
using testing::make_jpeg;
using testing::make_png;

void check(const Image& mask) {
  check_two_classes(inspect_mask(mask), mask, "mask.png");
}

TEST(ReadMask, KeepsGreyValuesAsStored) {
  const Mask mask = decode_mask(grey_png({0, 1, 127, 128, 254, 255}, 3, 2), "a");
  EXPECT_EQ(mask.grey, (Image{.width = 3, .height = 2, .channels = 1, .pixels = {0, 1, 127, 128, 254, 255}}));
  EXPECT_FALSE(mask.was_zero_one);
  EXPECT_FALSE(mask.was_colour);
  EXPECT_FALSE(mask.was_lossy);
}

TEST(ReadMask, ScalesZeroAndOneAndSaysSo) {
  const Mask mask = decode_mask(grey_png({0, 1, 1, 0}, 2, 2), "a");
  EXPECT_TRUE(mask.was_zero_one);
  EXPECT_EQ(mask.grey.pixels, (Bytes{0, 255, 255, 0}));
  EXPECT_FALSE(decode_mask(grey_png({0, 0, 0, 0}, 2, 2), "a").was_zero_one) << "an empty mask needs no repair";
  EXPECT_FALSE(decode_mask(grey_png({0, 1, 2, 0}, 2, 2), "a").was_zero_one);
}

TEST(ReadMask, TakesColourFilesOfEqualChannels) {
  const Mask rgb = decode_mask(make_png({9, 9, 9, 255, 255, 255}, 2, 1, {}), "a");
  EXPECT_TRUE(rgb.was_colour);
  EXPECT_EQ(rgb.grey.pixels, (Bytes{9, 255}));
  const Mask rgba =
      decode_mask(make_png({0, 0, 0, 255, 255, 255, 255, 255}, 2, 1, {.colour_type = PNG_COLOR_TYPE_RGB_ALPHA}), "a");
  EXPECT_EQ(rgba.grey.pixels, (Bytes{0, 255}));
  const Mask palette = decode_mask(
      make_png({1, 0}, 2, 1, {.colour_type = PNG_COLOR_TYPE_PALETTE, .palette = {{0, 0, 0}, {255, 255, 255}}}), "a");
  EXPECT_EQ(palette.grey.pixels, (Bytes{255, 0}));
}

TEST(ReadMask, RefusesColourAndNamesThePlace) {
  const Bytes second_pixel = make_png({9, 9, 9, 1, 2, 2}, 1, 2, {});
  expect_error([&] { decode_mask(second_pixel, "photo.png"); }, {"photo.png", "colour", "column 0, row 1"});
  const Bytes only_blue = make_png({9, 9, 8}, 1, 1, {});
  expect_error([&] { decode_mask(only_blue, "photo.png"); }, {"colour", "column 0, row 0"});
}

TEST(ReadMask, RefusesAMaskHiddenInTheAlphaChannel) {
  const Bytes bytes = make_png({0, 0, 0, 255, 0, 0, 0, 0}, 2, 1, {.colour_type = PNG_COLOR_TYPE_RGB_ALPHA});
  expect_error([&] { decode_mask(bytes, "layer.png"); }, {"layer.png", "alpha"});
  const Bytes visible = make_png({0, 255, 255, 0}, 2, 1, {.colour_type = PNG_COLOR_TYPE_GRAY_ALPHA});
  EXPECT_EQ(decode_mask(visible, "a").grey.pixels, (Bytes{0, 255}));
}

TEST(ReadMask, TakesSixteenBitsOfEitherScale) {
  const testing::PngOptions deep{.bits = 16, .colour_type = PNG_COLOR_TYPE_GRAY};
  EXPECT_EQ(decode_mask(make_png({0, 0, 0xFF, 0xFF}, 2, 1, deep), "a").grey.pixels, (Bytes{0, 255}));
  EXPECT_EQ(decode_mask(make_png({0, 0, 0, 255}, 2, 1, deep), "a").grey.pixels, (Bytes{0, 255}));
  const Mask zero_one = decode_mask(make_png({0, 0, 0, 1}, 2, 1, deep), "a");
  EXPECT_TRUE(zero_one.was_zero_one);
  EXPECT_EQ(zero_one.grey.pixels, (Bytes{0, 255}));
}

TEST(ReadMask, TakesOneBitPerPixel) {
  const Mask mask = decode_mask(make_png({0b01000000}, 2, 1, {.bits = 1, .colour_type = PNG_COLOR_TYPE_GRAY}), "a");
  EXPECT_EQ(mask.grey.pixels, (Bytes{0, 255}));
  EXPECT_FALSE(mask.was_zero_one);
}

TEST(ReadMask, IsNeverTurned) {
  const Image mask = disc(24, 16, 4);
  const Bytes bytes =
      make_jpeg(mask.pixels, 24, 16,
                {.input = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .channels = 1, .app1 = exif_block(6, true)});
  const Mask read = decode_mask(bytes, "a");
  EXPECT_EQ(read.grey.width, 24);
  EXPECT_TRUE(read.was_lossy);
}

TEST(MaskValues, OfACleanMaskAreTwo) {
  const MaskValues values = inspect_mask(disc(50, 50, 15));
  EXPECT_TRUE(values.only_black_and_white);
  EXPECT_EQ(values.distinct, 2);
  EXPECT_EQ(values.dominant, (std::vector<std::uint8_t>{0, 255}));
}

TEST(MaskValues, SoftEdgesAreTwoClasses) {
  const Image soft = resize(disc(777, 777, 250), 256, 256);
  const MaskValues values = inspect_mask(soft);
  EXPECT_FALSE(values.only_black_and_white);
  EXPECT_GT(values.distinct, 2);
  EXPECT_NO_THROW(check(soft));
}

TEST(MaskValues, NoiseOfJpegIsTwoClasses) {
  for (const int quality : {30, 60, 90, 95, 98}) {
    const Image noisy = decode_mask(encode_jpeg(disc(64, 64, 20), quality), "a").grey;
    EXPECT_GT(inspect_mask(noisy).distinct, 2);
    EXPECT_NO_THROW(check(noisy)) << quality;
  }
}

TEST(MaskValues, EmptyAndFullMasksAreFine) {
  EXPECT_NO_THROW(check(make_image(9, 9, 1, 0)));
  EXPECT_NO_THROW(check(make_image(9, 9, 1, 255)));
}

TEST(MaskValues, SeveralClassesAreRefused) {
  Image three = disc(60, 60, 20);
  std::fill_n(three.pixels.begin(), 300, std::uint8_t{128});
  expect_error([&] { check(three); }, {"mask.png", "areas of 3 values", "0, 128, 255"});
  Image with_void = disc(60, 60, 20, 1);
  std::fill_n(with_void.pixels.begin(), 300, std::uint8_t{255});
  expect_error([&] { check(with_void); }, {"0, 1, 255"});
  Image many = make_image(60, 60, 1);
  for (std::size_t i = 0; i < many.pixels.size(); ++i) many.pixels[i] = static_cast<std::uint8_t>(i / 150 % 12);
  std::fill_n(many.pixels.begin(), 300, std::uint8_t{255});
  expect_error([&] { check(many); }, {"areas of 13 values (0, 1, 2, 3, 4, 5, 6, 7, ...)"});
}

Image with_patch(int size, int side, std::uint8_t value) {
  Image mask = disc(size, size, size / 3.0);
  for (int y = 5; y < 5 + side; ++y) std::fill_n(mask.pixels.data() + mask.offset(7, y), side, value);
  return mask;
}

TEST(MaskValues, AClassOfFewPixelsIsNoEdge) {
  expect_error([] { check(with_patch(400, 12, 128)); }, {"areas of 3 values (0, 128, 255)"});
  expect_error([] { check(with_patch(400, 9, 64)); }, {"areas of 3 values (0, 64, 255)"});
  EXPECT_NO_THROW(check(with_patch(400, 8, 128))) << "a block of JPEG";
  Image line = disc(400, 400, 130);
  std::fill_n(line.pixels.data() + line.offset(0, 3), 400 * 3, std::uint8_t{128});
  EXPECT_NO_THROW(check(line)) << "three rows are thin";
}

TEST(MaskValues, WideSoftEdgesAreStillEdges) {
  for (const int quality : {5, 10, 30}) {
    const Image noisy = decode_mask(encode_jpeg(disc(400, 400, 120), quality), "a").grey;
    EXPECT_NO_THROW(check(noisy)) << quality;
  }
  EXPECT_NO_THROW(check(resize(disc(40, 40, 13), 640, 640))) << "enlarged 16 times";
}

TEST(MaskValues, ClassNumbersAreRefusedInsteadOfReadAsEmpty) {
  expect_error([] { check(disc(60, 60, 20, 2)); }, {"mask.png", "largest value is 2"});
  expect_error([] { check(disc(60, 60, 20, 85)); }, {"largest value is 85"});
}

}  // namespace
}  // namespace dermatome::data

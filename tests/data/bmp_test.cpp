// Windows bitmaps of every depth, and the sentences for what a bitmap must not be.
#include <gtest/gtest.h>

#include "data/codec.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::Bytes;
using testing::expect_error;
using testing::random_image;
using testing::survived_changes;

void put(Bytes& bytes, std::size_t at, std::uint32_t value, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

struct BmpOptions {
  int bits = 24;
  std::uint32_t header = 40;
  std::uint32_t compression = 0;
  Bytes palette = {};  // b, g, r, 0
  std::vector<std::uint32_t> masks = {};
  bool top_down = false;
};

// `rows` as the file stores them: padded to four bytes, the lowest row first unless top_down.
Bytes make_bmp(int width, int height, const Bytes& rows, const BmpOptions& options) {
  const std::size_t masks = options.header == 40 ? 4 * options.masks.size() : 0;
  Bytes bytes(14 + options.header + masks + options.palette.size());
  bytes[0] = 'B';
  bytes[1] = 'M';
  put(bytes, 2, static_cast<std::uint32_t>(bytes.size() + rows.size()), 4);
  put(bytes, 10, static_cast<std::uint32_t>(bytes.size()), 4);
  put(bytes, 14, options.header, 4);
  if (options.header == 12) {
    put(bytes, 18, static_cast<std::uint32_t>(width), 2);
    put(bytes, 20, static_cast<std::uint32_t>(height), 2);
    put(bytes, 22, 1, 2);
    put(bytes, 24, static_cast<std::uint32_t>(options.bits), 2);
  } else {
    put(bytes, 18, static_cast<std::uint32_t>(width), 4);
    put(bytes, 22, static_cast<std::uint32_t>(options.top_down ? -height : height), 4);
    put(bytes, 26, 1, 2);
    put(bytes, 28, static_cast<std::uint32_t>(options.bits), 2);
    put(bytes, 30, options.compression, 4);
    put(bytes, 46, static_cast<std::uint32_t>(options.palette.size() / 4), 4);
    for (std::size_t i = 0; i < options.masks.size(); ++i) put(bytes, 54 + 4 * i, options.masks[i], 4);
  }
  std::copy(options.palette.begin(), options.palette.end(),
            bytes.begin() + 14 + static_cast<std::ptrdiff_t>(options.header + masks));
  bytes.insert(bytes.end(), rows.begin(), rows.end());
  return bytes;
}

// Rows of b, g, r, padded, from the bottom.
Bytes rows_24(const Image& image) {
  Bytes rows;
  for (int y = image.height - 1; y >= 0; --y) {
    for (int x = 0; x < image.width; ++x) {
      const std::uint8_t* pixel = image.pixels.data() + image.offset(x, y);
      rows.insert(rows.end(), {pixel[2], pixel[1], pixel[0]});
    }
    while (rows.size() % 4 != 0) rows.push_back(0);
  }
  return rows;
}

const Bytes kGreys{0, 0, 0, 0, 100, 100, 100, 0, 255, 255, 255, 0};

TEST(ReadBmp, TakesTwentyFourBits) {
  const Image image = random_image(5, 3, 3, 1);
  const Bytes bytes = make_bmp(5, 3, rows_24(image), {});
  EXPECT_EQ(decode_rgb(bytes, "a").image, image);
  EXPECT_EQ(probe(bytes, "a").format, FileFormat::bmp);
  EXPECT_EQ(probe(bytes, "a").width, 5);
  EXPECT_EQ(decode_rgb(make_bmp(5, 3, rows_24(image), {.header = 124}), "a").image, image);
  EXPECT_EQ(decode_rgb(make_bmp(5, 3, rows_24(image), {.header = 12}), "a").image, image);
}

TEST(ReadBmp, TakesRowsFromTheTop) {
  const Bytes rows{1, 2, 3, 0, 4, 5, 6, 0};
  EXPECT_EQ(decode_rgb(make_bmp(1, 2, rows, {.top_down = true}), "a").image.pixels, (Bytes{3, 2, 1, 6, 5, 4}));
  EXPECT_EQ(decode_rgb(make_bmp(1, 2, rows, {}), "a").image.pixels, (Bytes{6, 5, 4, 3, 2, 1}));
}

TEST(ReadBmp, TakesPalettesOfEveryDepth) {
  EXPECT_EQ(decode_mask(make_bmp(3, 1, {0, 2, 1, 0}, {.bits = 8, .palette = kGreys}), "a").grey.pixels,
            (Bytes{0, 255, 100}));
  EXPECT_EQ(decode_mask(make_bmp(3, 1, {0x02, 0x10, 0, 0}, {.bits = 4, .palette = kGreys}), "a").grey.pixels,
            (Bytes{0, 255, 100}));
  const Bytes black_white{0, 0, 0, 0, 255, 255, 255, 0};
  const Mask mask =
      decode_mask(make_bmp(9, 1, {0b01100000, 0b10000000, 0, 0}, {.bits = 1, .palette = black_white}), "a");
  EXPECT_EQ(mask.grey.pixels, (Bytes{0, 255, 255, 0, 0, 0, 0, 0, 255}));
  EXPECT_FALSE(mask.was_colour) << "a palette of greys is how BMP stores grey";
  const Bytes colours{30, 20, 10, 0, 60, 50, 40, 0};
  EXPECT_EQ(decode_rgb(make_bmp(2, 1, {1, 0, 0, 0}, {.bits = 8, .palette = colours}), "a").image.pixels,
            (Bytes{40, 50, 60, 10, 20, 30}));
}

TEST(ReadBmp, TakesSixteenAndThirtyTwoBits) {
  EXPECT_EQ(decode_rgb(make_bmp(1, 1, {0x00, 0x7C, 0, 0}, {.bits = 16}), "a").image.pixels, (Bytes{255, 0, 0}));
  const BmpOptions five_six_five{.bits = 16, .compression = 3, .masks = {0xF800, 0x07E0, 0x001F}};
  EXPECT_EQ(decode_rgb(make_bmp(1, 1, {0xE0, 0x07, 0, 0}, five_six_five), "a").image.pixels, (Bytes{0, 255, 0}));
  EXPECT_EQ(decode_rgb(make_bmp(1, 1, {3, 2, 1, 99}, {.bits = 32}), "a").image.pixels, (Bytes{1, 2, 3}));
  const BmpOptions reversed{.bits = 32, .compression = 3, .masks = {0xFF, 0xFF00, 0xFF0000}};
  EXPECT_EQ(decode_rgb(make_bmp(1, 1, {3, 2, 1, 99}, reversed), "a").image.pixels, (Bytes{3, 2, 1}));
  const BmpOptions inside_header{.bits = 32, .header = 56, .compression = 3, .masks = {0xFF, 0xFF00, 0xFF0000}};
  EXPECT_EQ(decode_rgb(make_bmp(1, 1, {3, 2, 1, 99}, inside_header), "a").image.pixels, (Bytes{3, 2, 1}));
}

TEST(ReadBmp, RefusesWhatItDoesNotRead) {
  const Image image = random_image(5, 3, 3, 1);
  const auto refused = [](const Bytes& bytes, const std::vector<std::string>& parts) {
    expect_error([&] { decode_rgb(bytes, "x.bmp"); }, parts);
  };
  refused(make_bmp(4, 1, {4, 0, 0, 1}, {.bits = 8, .compression = 1, .palette = kGreys}),
          {"x.bmp is a run-length encoded BMP, which is not read: save it as PNG"});
  refused(make_bmp(5, 3, rows_24(image), {.bits = 7}), {"x.bmp", "7 bits a pixel"});
  refused(make_bmp(5, 3, rows_24(image), {.compression = 4}), {"x.bmp", "compression 4"});
  refused(make_bmp(0, 3, rows_24(image), {}), {"x.bmp", "no pixels"});
  refused(make_bmp(3, 1, {0, 2, 7, 0}, {.bits = 8, .palette = kGreys}), {"x.bmp", "colour 7 of a palette of 3"});
  refused(make_bmp(1, 1, {0, 0, 0, 0}, {.bits = 32, .compression = 3, .masks = {0xFF00FF, 1, 2}}), {"x.bmp", "masks"});
  refused(make_bmp(40000, 1, rows_24(image), {}), {"x.bmp", "40000x1", "30000"});
  refused(make_bmp(30000, 30000, {}, {}), {"x.bmp", "200 megapixels"});
}

TEST(ReadBmp, RefusesEveryTruncation) {
  const Bytes whole = make_bmp(5, 3, rows_24(random_image(5, 3, 3, 1)), {});
  for (std::size_t size = 20; size < whole.size(); ++size) {
    expect_error(
        [&] { decode_rgb(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)), "cut.bmp"); },
        {"cut.bmp is cut short"});
  }
}

TEST(ReadBmp, SurvivesAnyChangedByte) {
  const Bytes palette = make_bmp(3, 1, {0, 2, 1, 0}, {.bits = 8, .palette = kGreys});
  const Bytes fields =
      make_bmp(1, 1, {0xE0, 0x07, 0, 0}, {.bits = 16, .compression = 3, .masks = {0xF800, 0x07E0, 0x001F}});
  for (const Bytes* bytes : {&palette, &fields}) {
    const auto read = [](const Bytes& changed) { EXPECT_EQ(decode_rgb(changed, "changed").image.channels, 3); };
    EXPECT_GT(survived_changes(*bytes, 3000, 3, read), 0);
  }
}

}  // namespace
}  // namespace dermatome::data

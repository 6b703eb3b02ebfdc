// Reading photographs: every kind that is taken, and a sentence for every kind that is not.
#include <gtest/gtest.h>

#include <cstdlib>

#include "data/codec.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::Bytes;
using testing::exif_block;
using testing::expect_error;
using testing::JpegOptions;
using testing::make_jpeg;
using testing::make_png;
using testing::random_image;
using testing::smooth_image;
using testing::TemporaryFolder;

void expect_near(const Image& actual, const Image& expected, int tolerance) {
  ASSERT_EQ(actual.width, expected.width);
  ASSERT_EQ(actual.height, expected.height);
  ASSERT_EQ(actual.channels, expected.channels);
  for (std::size_t i = 0; i < actual.pixels.size(); ++i) {
    ASSERT_LE(std::abs(actual.pixels[i] - expected.pixels[i]), tolerance) << "byte " << i;
  }
}

Bytes jpeg_of(const Image& image, const JpegOptions& options = {}) {
  return make_jpeg(image.pixels, image.width, image.height, options);
}

Bytes bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

void put_u32(Bytes& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

std::uint32_t crc32_of(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

// A PNG of a few bytes whose header claims these sides.
Bytes png_claiming(std::uint32_t width, std::uint32_t height) {
  Bytes bytes = encode_png(make_image(2, 2, 3));
  put_u32(bytes, 16, width);
  put_u32(bytes, 20, height);
  put_u32(bytes, 29, crc32_of(std::span(bytes).subspan(12, 17)));
  return bytes;
}

// A JPEG whose frame header claims these sides.
Bytes jpeg_claiming(int width, int height) {
  Bytes bytes = jpeg_of(smooth_image(16, 16));
  for (std::size_t i = 0; i + 9 < bytes.size(); ++i) {
    if (bytes[i] != 0xFF || bytes[i + 1] != 0xC0) continue;
    bytes[i + 5] = static_cast<std::uint8_t>(height >> 8);
    bytes[i + 6] = static_cast<std::uint8_t>(height & 0xFF);
    bytes[i + 7] = static_cast<std::uint8_t>(width >> 8);
    bytes[i + 8] = static_cast<std::uint8_t>(width & 0xFF);
    return bytes;
  }
  ADD_FAILURE() << "no frame header";
  return bytes;
}

TEST(ReadPhotograph, TakesColourJpegInAllItsForms) {
  const Image image = smooth_image(61, 43);
  expect_near(decode_rgb(jpeg_of(image), "a").image, image, 4);
  expect_near(decode_rgb(jpeg_of(image, {.progressive = true}), "a").image, image, 4);
  expect_near(decode_rgb(jpeg_of(image, {.stored = JCS_RGB}), "a").image, image, 4);
}

TEST(ReadPhotograph, TakesEveryChromaSubsampling) {
  const Image image = smooth_image(61, 43);
  for (const auto& [h, v] : {std::pair{1, 1}, {2, 1}, {2, 2}, {4, 1}, {1, 2}, {4, 2}, {1, 4}}) {
    const Bytes bytes = jpeg_of(image, {.luma_h = h, .luma_v = v});
    expect_near(decode_rgb(bytes, "a").image, image, 9);
    EXPECT_EQ(probe(bytes, "a").channels, 3);
  }
}

TEST(ReadPhotograph, RepeatsGreyJpegInThreeChannels) {
  Image grey = make_image(20, 10, 1, 77);
  const Bytes bytes = make_jpeg(grey.pixels, 20, 10, {.input = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .channels = 1});
  EXPECT_EQ(probe(bytes, "a").channels, 1);
  expect_near(decode_rgb(bytes, "a").image, make_image(20, 10, 3, 77), 1);
}

TEST(ReadPhotograph, RefusesCmykWithTheReason) {
  const Image samples = random_image(8 * 4, 8, 1, 1);
  const JpegOptions cmyk{.input = JCS_CMYK, .stored = JCS_CMYK, .channels = 4};
  const JpegOptions ycck{.input = JCS_CMYK, .stored = JCS_YCCK, .channels = 4};
  expect_error([&] { decode_rgb(make_jpeg(samples.pixels, 8, 8, cmyk), "print.jpg"); }, {"print.jpg", "CMYK"});
  expect_error([&] { probe(make_jpeg(samples.pixels, 8, 8, ycck), "print.jpg"); }, {"print.jpg", "CMYK"});
}

TEST(ReadPhotograph, TurnsByExifAndTellsTheStoredGrid) {
  const Image stored = smooth_image(48, 32);
  for (int value = 1; value <= 8; ++value) {
    const auto orientation = static_cast<Orientation>(value);
    const Bytes bytes = jpeg_of(stored, {.app1 = exif_block(value, value % 2 == 0)});
    const Photograph photograph = decode_rgb(bytes, "a");
    EXPECT_EQ(photograph.orientation, orientation);
    EXPECT_EQ(photograph.stored_width, 48);
    EXPECT_EQ(photograph.stored_height, 32);
    expect_near(photograph.image, to_upright(stored, orientation), 4);
    expect_near(to_stored(photograph.image, photograph.orientation), stored, 4);
    EXPECT_EQ(probe(bytes, "a").width, 48) << "probe speaks of the stored grid";
    EXPECT_EQ(probe(bytes, "a").orientation, orientation);
  }
}

TEST(ReadPhotograph, TurnsPngByItsExifChunk) {
  const Image stored = random_image(4, 3, 3, 2);
  const Bytes block = exif_block(6, false);
  const Bytes bytes = make_png(stored.pixels, 4, 3, {.exif = Bytes(block.begin() + 6, block.end())});
  EXPECT_EQ(decode_rgb(bytes, "a").image, to_upright(stored, Orientation::quarter_clockwise));
}

TEST(ReadPhotograph, TakesPngWithAndWithoutInterlacing) {
  const Image image = random_image(13, 9, 3, 3);
  EXPECT_EQ(decode_rgb(make_png(image.pixels, 13, 9, {}), "a").image, image);
  EXPECT_EQ(decode_rgb(make_png(image.pixels, 13, 9, {.interlaced = true}), "a").image, image);
}

TEST(ReadPhotograph, RoundsSixteenBitPng) {
  // 0x0080 is 0.498 of a step of 8 bits and goes down; 0x0081 is 0.502 and goes up.
  const Bytes rows{0x00, 0x80, 0x00, 0x81, 0xFF, 0xFF, 0x80, 0x80, 0x7F, 0x00, 0x00, 0x00};
  const Bytes bytes = make_png(rows, 2, 1, {.bits = 16});
  EXPECT_EQ(decode_rgb(bytes, "a").image.pixels, (Bytes{0, 1, 255, 128, 127, 0}));
  EXPECT_EQ(probe(bytes, "a").bits, 16);
}

TEST(ReadPhotograph, ExpandsPaletteAndDropsItsAlpha) {
  const Bytes bytes = make_png({0, 1, 2, 1}, 2, 2,
                               {.colour_type = PNG_COLOR_TYPE_PALETTE,
                                .palette = {{10, 20, 30}, {40, 50, 60}, {70, 80, 90}},
                                .palette_alpha = {0, 128, 255}});
  EXPECT_EQ(decode_rgb(bytes, "a").image.pixels, (Bytes{10, 20, 30, 40, 50, 60, 70, 80, 90, 40, 50, 60}));
  EXPECT_TRUE(probe(bytes, "a").has_alpha);
}

TEST(ReadPhotograph, DropsAlphaAndExpandsLowBitDepths) {
  const Bytes rgba = make_png({1, 2, 3, 0, 4, 5, 6, 255}, 2, 1, {.colour_type = PNG_COLOR_TYPE_RGB_ALPHA});
  EXPECT_EQ(decode_rgb(rgba, "a").image.pixels, (Bytes{1, 2, 3, 4, 5, 6}));
  const Bytes grey_alpha = make_png({7, 0, 9, 128}, 2, 1, {.colour_type = PNG_COLOR_TYPE_GRAY_ALPHA});
  EXPECT_EQ(decode_rgb(grey_alpha, "a").image.pixels, (Bytes{7, 7, 7, 9, 9, 9}));
  const Bytes one_bit = make_png({0b10000000}, 2, 1, {.bits = 1, .colour_type = PNG_COLOR_TYPE_GRAY});
  EXPECT_EQ(decode_rgb(one_bit, "a").image.pixels, (Bytes{255, 255, 255, 0, 0, 0}));
}

TEST(ReadPhotograph, GoesByContentNotByName) {
  const TemporaryFolder folder;
  const Image image = random_image(5, 4, 3, 4);
  EXPECT_EQ(read_rgb(folder.add("really_a_png.jpg", encode_png(image))).image, image);
}

TEST(ReadPhotograph, RefusesEveryTruncation) {
  const Bytes jpeg = jpeg_of(random_image(64, 64, 3, 5));
  const Bytes progressive = jpeg_of(random_image(64, 64, 3, 5), {.progressive = true});
  const Bytes png = encode_png(random_image(64, 64, 3, 6));
  for (const Bytes* whole : {&jpeg, &progressive, &png}) {
    for (std::size_t percent = 1; percent < 100; percent += 7) {
      const Bytes cut(whole->begin(), whole->begin() + static_cast<std::ptrdiff_t>(whole->size() * percent / 100));
      expect_error([&] { decode_rgb(cut, "cut.jpg"); }, {"cut.jpg"});
    }
  }
  const Bytes half(jpeg.begin(), jpeg.begin() + static_cast<std::ptrdiff_t>(jpeg.size() / 2));
  expect_error([&] { decode_rgb(half, "cut.jpg"); }, {"cut.jpg is cut short"});
}

TEST(ReadPhotograph, RefusesFilesWithoutTheirLastBytes) {
  const Bytes jpeg = jpeg_of(random_image(64, 64, 3, 5));
  const Bytes png = encode_png(random_image(64, 64, 3, 6));
  for (const std::ptrdiff_t missing : {1, 2, 12, 20}) {
    expect_error([&] { decode_rgb(Bytes(jpeg.begin(), jpeg.end() - missing), "cut.jpg"); }, {"cut.jpg is cut short"});
    expect_error([&] { decode_rgb(Bytes(png.begin(), png.end() - missing), "cut.png"); }, {"cut.png is cut short"});
  }
}

TEST(ReadPhotograph, RefusesDamagedPixelData) {
  Bytes jpeg = jpeg_of(random_image(64, 64, 3, 7));
  jpeg[jpeg.size() / 2] = 0xFF;  // an end-of-image marker, with the rest of the data behind it
  jpeg[jpeg.size() / 2 + 1] = 0xD9;
  expect_error([&] { decode_rgb(jpeg, "bad.jpg"); }, {"bad.jpg is cut short or damaged"});
  Bytes png = encode_png(random_image(64, 64, 3, 8));
  png[png.size() / 2] ^= 1;
  expect_error([&] { decode_rgb(png, "bad.png"); }, {"bad.png", "CRC"});
}

TEST(ReadPhotograph, SurvivesAnyChangedByte) {
  Bytes jpeg = jpeg_of(smooth_image(24, 24), {.app1 = exif_block(6, true)});
  Bytes png = encode_png(smooth_image(24, 24));
  Philox random(9);
  for (Bytes* bytes : {&jpeg, &png}) {
    std::size_t refused = 0;
    for (int round = 0; round < 2000; ++round) {
      Bytes changed = *bytes;
      const auto at = random.below(static_cast<std::uint32_t>(changed.size()));
      changed[at] = static_cast<std::uint8_t>(random.below(256));
      try {
        const Photograph photograph = decode_rgb(changed, "changed");
        EXPECT_EQ(photograph.image.channels, 3);
      } catch (const Error& error) {
        EXPECT_NE(std::string_view(error.what()).find("changed"), std::string_view::npos);
        ++refused;
      }
    }
    EXPECT_GT(refused, 0u);
  }
}

TEST(ReadPhotograph, RefusesHugePicturesBeforeDecodingThem) {
  expect_error([] { decode_rgb(png_claiming(29999, 29999), "bomb.png"); },
               {"bomb.png", "29999x29999", "200 megapixels"});
  expect_error([] { probe(png_claiming(0x7FFFFFFF, 1), "bomb.png"); }, {"bomb.png", "2147483647x1", "30000"});
  expect_error([] { decode_mask(png_claiming(30001, 2), "bomb.png"); }, {"bomb.png", "30001x2"});
  expect_error([] { decode_rgb(png_claiming(65000, 100), "wide.png"); },
               {"wide.png says that it is 65000x100 pixels, above the limit of 200 megapixels and 30000 pixels a side: "
                "shrink it"});
  expect_error([] { decode_rgb(jpeg_claiming(30001, 8), "bomb.jpg"); }, {"bomb.jpg", "30001x8", "30000"});
  expect_error([] { decode_rgb(jpeg_claiming(20000, 20000), "bomb.jpg"); }, {"bomb.jpg", "20000x20000"});
  expect_error([] { probe(jpeg_claiming(20000, 20000), "bomb.jpg"); }, {"bomb.jpg", "20000x20000"});
  EXPECT_EQ(probe(png_claiming(20000, 10000), "a").width, 20000) << "exactly 200 megapixels are taken";
}

TEST(ReadPhotograph, NamesFormatsThatItDoesNotRead) {
  const auto refuse = [](std::string bytes, const std::string& kind) {
    bytes.resize(std::max<std::size_t>(bytes.size(), 200));
    expect_error([&] { decode_rgb(Bytes(bytes.begin(), bytes.end()), "x.jpg"); }, {"x.jpg", kind});
  };
  refuse(std::string("\0\0\0\x18"
                     "ftypheic",
                     12),
         "HEIC");
  refuse(std::string("\0\0\0\x18"
                     "ftypmif1",
                     12),
         "HEIC");
  refuse(std::string("RIFF\0\0\0\0WEBPVP8 ", 16), "WebP");
  refuse("GIF89a", "GIF");
  refuse(std::string("II*\0\x10\0\0\0CR\2\0", 12), "camera's raw");
  refuse("IIRO", "camera's raw");
  refuse("FUJIFILMCCD-RAW 0201", "camera's raw");
  refuse(std::string(128, '\0').append("DICM"), "DICOM");
  refuse("<!DOCTYPE html><html>", "web page");
  refuse("version https://git-lfs.github.com/spec/v1\n", "Git LFS");
  refuse("image,part\n", "neither a JPEG, a PNG, a BMP nor a TIFF");
  expect_error([] { decode_rgb(bytes_of("image,part\na,train\n"), "a.png"); }, {"a.png is a text, not a picture"});
  expect_error([] { decode_rgb(bytes_of("BMW and other cars"), "a.png"); }, {"a.png is a text, not a picture"});
  expect_error([] { decode_rgb({}, "x.jpg"); }, {"x.jpg is empty"});
  expect_error([] { decode_rgb(Bytes{0xFF, 0xD8, 0xFF}, "x.jpg"); }, {"x.jpg"});
}

// A progressive JPEG whose last scan is repeated again and again: each repetition costs a walk over all blocks.
TEST(ReadPhotograph, RefusesAJpegOfCountlessScans) {
  const Bytes plain = jpeg_of(smooth_image(16, 16), {.progressive = true});
  EXPECT_TRUE(probe(plain, "a").many_scans);
  EXPECT_FALSE(probe(jpeg_of(smooth_image(16, 16)), "a").many_scans);
  std::size_t scan = 0;
  for (std::size_t i = 0; i + 1 < plain.size(); ++i) {
    if (plain[i] == 0xFF && plain[i + 1] == 0xDA && scan == 0) scan = i;
  }
  const std::size_t next = [&] {
    for (std::size_t i = scan + 2; i + 1 < plain.size(); ++i) {
      if (plain[i] == 0xFF && (plain[i + 1] == 0xC4 || plain[i + 1] == 0xDA)) return i;
    }
    return plain.size();
  }();
  Bytes bomb(plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(next));
  for (int i = 0; i < 300; ++i)
    bomb.insert(bomb.end(), plain.begin() + static_cast<std::ptrdiff_t>(scan),
                plain.begin() + static_cast<std::ptrdiff_t>(next));
  bomb.insert(bomb.end(), plain.begin() + static_cast<std::ptrdiff_t>(next), plain.end());
  expect_error([&] { decode_rgb(bomb, "scans.jpg"); }, {"scans.jpg"});
}

TEST(ReadPhotograph, SaysWhyAFileCannotBeOpened) {
  const TemporaryFolder folder;
  expect_error([&] { read_rgb(folder / "missing.jpg"); }, {"missing.jpg", "No such file"});
  expect_error([&] { read_rgb(folder.path()); }, {folder.path().string(), "a folder"});
  expect_error([&] { read_rgb("/dev/null"); }, {"/dev/null", "not a regular file"});
  expect_error([&] { read_rgb(folder.add("empty.jpg", "")); }, {"empty.jpg is empty"});
}

TEST(Probe, ReadsHeadersThatAreLongerThanItsFirstRead) {
  const TemporaryFolder folder;
  const Bytes plain = jpeg_of(random_image(640, 640, 3, 10));
  ASSERT_GT(plain.size(), 256u * 1024);
  Bytes padded(plain.begin(), plain.begin() + 2);
  for (int i = 0; i < 6; ++i) {  // six comment markers of 64 kB before the frame header
    padded.insert(padded.end(), {0xFF, 0xFE, 0xFF, 0xFF});
    padded.resize(padded.size() + 0xFFFF - 2);
  }
  padded.insert(padded.end(), plain.begin() + 2, plain.end());
  EXPECT_EQ(probe(folder.add("plain.jpg", plain)).width, 640);
  EXPECT_EQ(probe(folder.add("padded.jpg", padded)).width, 640);
}

}  // namespace
}  // namespace dermatome::data

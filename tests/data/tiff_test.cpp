// TIFF pictures of the kinds that scanners and image programs write, and sentences for the others.
#include <gtest/gtest.h>
#include <tiffio.h>

#include "data/codec.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::Bytes;
using testing::disc;
using testing::expect_error;
using testing::random_image;
using testing::smooth_image;
using testing::survived_changes;
using testing::TemporaryFolder;

struct TiffOptions {
  int bits = 8;
  int channels = 3;
  int photometric = PHOTOMETRIC_RGB;
  int compression = COMPRESSION_NONE;
  int orientation = 1;
  int format = SAMPLEFORMAT_UINT;
  bool separate = false;
  bool tiled = false;
  bool big_endian = false;
  bool big = false;
  std::vector<std::vector<std::uint16_t>> palette = {};
  int kind = 0;  // of the page, as FILETYPE_REDUCEDIMAGE
  bool dng = false;
  std::vector<int> further = {};  // kinds of pages behind it
};

void set_tags(TIFF* file, int width, int height, const TiffOptions& options) {
  TIFFSetField(file, TIFFTAG_IMAGEWIDTH, width);
  TIFFSetField(file, TIFFTAG_IMAGELENGTH, height);
  TIFFSetField(file, TIFFTAG_BITSPERSAMPLE, options.bits);
  TIFFSetField(file, TIFFTAG_SAMPLESPERPIXEL, options.channels);
  TIFFSetField(file, TIFFTAG_PHOTOMETRIC, options.photometric);
  TIFFSetField(file, TIFFTAG_COMPRESSION, options.compression);
  TIFFSetField(file, TIFFTAG_ORIENTATION, options.orientation);
  TIFFSetField(file, TIFFTAG_SAMPLEFORMAT, options.format);
  TIFFSetField(file, TIFFTAG_PLANARCONFIG, options.separate ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
  if (options.channels == 2 || options.channels == 4) {
    const std::uint16_t alpha = EXTRASAMPLE_UNASSALPHA;
    if (options.photometric != PHOTOMETRIC_SEPARATED) TIFFSetField(file, TIFFTAG_EXTRASAMPLES, 1, &alpha);
  }
  if (options.kind != 0) TIFFSetField(file, TIFFTAG_SUBFILETYPE, options.kind);
  const std::uint8_t version[4] = {1, 4, 0, 0};
  if (options.dng) TIFFSetField(file, TIFFTAG_DNGVERSION, version);
  if (!options.palette.empty()) {
    TIFFSetField(file, TIFFTAG_COLORMAP, options.palette[0].data(), options.palette[1].data(),
                 options.palette[2].data());
  }
}

// A page of one grey pixel behind those that are there.
void add_page(TIFF* file, int kind) {
  TIFFWriteDirectory(file);
  set_tags(file, 1, 1, {.channels = 1, .photometric = PHOTOMETRIC_MINISBLACK, .kind = kind});
  std::uint8_t pixel = 9;
  TIFFWriteScanline(file, &pixel, 0, 0);
}

// `rows`: packed as TIFF packs them, planes one behind the other where they are separate.
Bytes make_tiff(const Bytes& rows, int width, int height, const TiffOptions& options) {
  const TemporaryFolder folder;
  const auto path = folder / "made.tif";
  const std::string mode = std::string("w") + (options.big ? "8" : "") + (options.big_endian ? "b" : "l");
  TIFF* file = TIFFOpen(path.c_str(), mode.c_str());
  set_tags(file, width, height, options);
  const int planes = options.separate ? options.channels : 1;
  const int depth = options.separate ? 1 : options.channels;
  const std::size_t row_bytes = static_cast<std::size_t>(width * depth * options.bits + 7) / 8;
  if (options.tiled) {
    TIFFSetField(file, TIFFTAG_TILEWIDTH, 16);
    TIFFSetField(file, TIFFTAG_TILELENGTH, 16);
    for (int y = 0; y < height; y += 16) {
      for (int x = 0; x < width; x += 16) {
        Bytes tile(static_cast<std::size_t>(16 * 16 * depth));
        for (int r = 0; r < 16 && y + r < height; ++r) {
          const int columns = std::min(16, width - x) * depth;
          std::copy_n(rows.begin() + (y + r) * static_cast<std::ptrdiff_t>(row_bytes) + x * depth, columns,
                      tile.begin() + r * 16 * depth);
        }
        TIFFWriteTile(file, tile.data(), static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(y), 0, 0);
      }
    }
  } else {
    TIFFSetField(file, TIFFTAG_ROWSPERSTRIP, 4);
    if (options.compression == COMPRESSION_JPEG) {
      TIFFSetField(file, TIFFTAG_ROWSPERSTRIP, 16);
      TIFFSetField(file, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    }
    for (int p = 0; p < planes; ++p) {
      for (int y = 0; y < height; ++y) {
        Bytes row(rows.begin() + (p * height + y) * static_cast<std::ptrdiff_t>(row_bytes),
                  rows.begin() + (p * height + y + 1) * static_cast<std::ptrdiff_t>(row_bytes));
        TIFFWriteScanline(file, row.data(), static_cast<std::uint32_t>(y), static_cast<std::uint16_t>(p));
      }
    }
  }
  for (const int kind : options.further) add_page(file, kind);
  TIFFClose(file);
  return read_file(path);
}

Bytes tiff_of(const Image& image, TiffOptions options = {}) {
  return make_tiff(image.pixels, image.width, image.height, options);
}

TEST(ReadTiff, TakesEveryCommonCompression) {
  const Image image = random_image(21, 18, 3, 1);
  for (const int compression : {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_PACKBITS}) {
    EXPECT_EQ(decode_rgb(tiff_of(image, {.compression = compression}), "a").image, image) << compression;
  }
  EXPECT_EQ(decode_rgb(tiff_of(image, {.tiled = true}), "a").image, image);
  EXPECT_EQ(decode_rgb(tiff_of(image, {.big_endian = true}), "a").image, image);
  EXPECT_EQ(decode_rgb(tiff_of(image, {.big = true}), "a").image, image);
  EXPECT_EQ(probe(tiff_of(image), "a").format, FileFormat::tiff);
}

TEST(ReadTiff, TakesJpegInside) {
  const Image image = smooth_image(64, 48);
  const Image read =
      decode_rgb(tiff_of(image, {.photometric = PHOTOMETRIC_YCBCR, .compression = COMPRESSION_JPEG}), "a").image;
  ASSERT_EQ(read.pixels.size(), image.pixels.size());
  for (std::size_t i = 0; i < read.pixels.size(); ++i) ASSERT_NEAR(read.pixels[i], image.pixels[i], 12);
}

TEST(ReadTiff, TakesSeparatePlanesAndDropsAlpha) {
  const Bytes planes{1, 2, 3, 4, 5, 6, 255, 0};
  EXPECT_EQ(decode_rgb(make_tiff(planes, 2, 1, {.channels = 4, .separate = true}), "a").image.pixels,
            (Bytes{1, 3, 5, 2, 4, 6}));
  const Bytes mixed{1, 2, 3, 255, 4, 5, 6, 0};
  EXPECT_EQ(decode_rgb(make_tiff(mixed, 2, 1, {.channels = 4}), "a").image.pixels, (Bytes{1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(probe(make_tiff(mixed, 2, 1, {.channels = 4}), "a").has_alpha);
}

TEST(ReadTiff, RoundsSixteenBitsAsPngDoes) {
  const Bytes rows{0x80, 0x00, 0x81, 0x00, 0xFF, 0xFF, 0x80, 0x80, 0x00, 0x7F, 0x00, 0x00};
  EXPECT_EQ(decode_rgb(make_tiff(rows, 2, 1, {.bits = 16}), "a").image.pixels, (Bytes{0, 1, 255, 128, 127, 0}));
}

TEST(ReadTiff, TurnsByItsOrientation) {
  const Image stored = random_image(4, 3, 3, 2);
  const Photograph photograph = decode_rgb(tiff_of(stored, {.orientation = 6}), "a");
  EXPECT_EQ(photograph.image, to_upright(stored, Orientation::quarter_clockwise));
  EXPECT_EQ(photograph.stored_width, 4);
}

TEST(ReadTiff, ReadsMasksOfEveryDepth) {
  const TiffOptions grey{.channels = 1, .photometric = PHOTOMETRIC_MINISBLACK};
  EXPECT_EQ(decode_mask(make_tiff({0, 7, 255}, 3, 1, grey), "a").grey.pixels, (Bytes{0, 7, 255}));
  TiffOptions bilevel = grey;
  bilevel.bits = 1;
  EXPECT_EQ(decode_mask(make_tiff({0b01100000, 0b10000000}, 9, 1, bilevel), "a").grey.pixels,
            (Bytes{0, 255, 255, 0, 0, 0, 0, 0, 255}));
  bilevel.photometric = PHOTOMETRIC_MINISWHITE;
  bilevel.compression = COMPRESSION_CCITTFAX4;
  EXPECT_EQ(decode_mask(make_tiff({0b01100000, 0b10000000}, 9, 1, bilevel), "a").grey.pixels,
            (Bytes{255, 0, 0, 255, 255, 255, 255, 255, 0}));
  TiffOptions deep = grey;
  deep.bits = 16;
  EXPECT_EQ(decode_mask(make_tiff({0, 0, 255, 255}, 2, 1, deep), "a").grey.pixels, (Bytes{0, 255}));
  const Mask ones = decode_mask(make_tiff({0, 0, 1, 0}, 2, 1, deep), "a");
  EXPECT_TRUE(ones.was_zero_one);
  EXPECT_EQ(ones.grey.pixels, (Bytes{0, 255}));
}

TEST(ReadTiff, ResolvesPalettes) {
  std::vector<std::vector<std::uint16_t>> palette(3, std::vector<std::uint16_t>(256));
  for (std::size_t c = 0; c < 3; ++c) palette[c][1] = static_cast<std::uint16_t>((10 + c) << 8);
  const TiffOptions options{.channels = 1, .photometric = PHOTOMETRIC_PALETTE, .palette = palette};
  EXPECT_EQ(decode_rgb(make_tiff({1, 0}, 2, 1, options), "a").image.pixels, (Bytes{10, 11, 12, 0, 0, 0}));
}

TEST(ReadTiff, RefusesWhatItDoesNotRead) {
  const auto refused = [](const Bytes& rows, const TiffOptions& options, const std::vector<std::string>& parts) {
    expect_error([&] { decode_rgb(make_tiff(rows, 1, 1, options), "x.tif"); }, parts);
  };
  refused(Bytes(4), {.channels = 4, .photometric = PHOTOMETRIC_SEPARATED}, {"x.tif is a CMYK TIFF", "save it as RGB"});
  refused(Bytes(3), {.photometric = PHOTOMETRIC_CIELAB}, {"x.tif is a TIFF of Lab colours"});
  refused(Bytes(12), {.bits = 32, .format = SAMPLEFORMAT_IEEEFP}, {"x.tif holds floating-point numbers"});
  refused(Bytes(12), {.bits = 32}, {"x.tif has 32 bits a value"});
  refused(Bytes(1), {.channels = 1, .photometric = PHOTOMETRIC_CFA}, {"x.tif is a camera's raw picture"});
  refused(Bytes(5), {.channels = 5}, {"x.tif has 5 channels"});
}

TEST(ReadTiff, RefusesRawPicturesInsteadOfReadingTheirPreviews) {
  const Image image = random_image(21, 18, 3, 1);
  const auto refused = [&](const TiffOptions& options, const std::vector<std::string>& parts) {
    const Bytes bytes = tiff_of(image, options);
    expect_error([&] { decode_rgb(bytes, "x.nef"); }, parts);
    expect_error([&] { probe(bytes, "x.nef"); }, parts);
    expect_error([&] { decode_mask(bytes, "x.nef"); }, parts);
  };
  refused({.dng = true}, {"x.nef is a camera's raw picture (DNG)", "develop it to JPEG"});
  refused({.kind = FILETYPE_REDUCEDIMAGE}, {"x.nef begins with a preview", "develop it to JPEG"});
  Bytes canon = tiff_of(image, {.big_endian = false});
  const Bytes mark{'C', 'R', 2, 0};
  std::copy(mark.begin(), mark.end(), canon.begin() + 8);
  expect_error([&] { decode_rgb(canon, "x.cr2"); }, {"x.cr2 is a camera's raw picture", "save it as JPEG or PNG"});
}

TEST(ReadTiff, RefusesSeveralPagesButNotPreviews) {
  const Image image = random_image(21, 18, 3, 1);
  for (const std::vector<int>& further :
       std::vector<std::vector<int>>{{0}, {FILETYPE_PAGE, FILETYPE_PAGE}, {FILETYPE_REDUCEDIMAGE, 0}}) {
    const Bytes bytes = tiff_of(image, {.further = further});
    expect_error([&] { decode_rgb(bytes, "x.tif"); }, {"x.tif holds several pages", "save each as a file of its own"});
    expect_error([&] { decode_mask(bytes, "x.tif"); }, {"x.tif holds several pages"});
  }
  for (const int compression : {COMPRESSION_NONE, COMPRESSION_LZW}) {
    const TiffOptions options{.compression = compression, .further = {FILETYPE_REDUCEDIMAGE, FILETYPE_MASK}};
    EXPECT_EQ(decode_rgb(tiff_of(image, options), "a").image, image) << compression;
  }
}

TEST(ReadTiff, RefusesEveryTruncationOfItsPixels) {
  const Image image = random_image(21, 18, 3, 1);
  for (const int compression : {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE}) {
    const Bytes whole = tiff_of(image, {.compression = compression});
    for (std::size_t size = 4; size < whole.size(); size += 37) {
      expect_error(
          [&] { decode_rgb(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)), "cut.tif"); },
          {"cut.tif"});
    }
  }
}

TEST(ReadTiff, RefusesHugePictures) {
  Bytes bytes = tiff_of(random_image(2, 2, 3, 1));
  // The entry of tag 256, the width, in the directory: type 3 or 4, count 1, then the value.
  for (std::size_t i = 8; i + 12 <= bytes.size(); ++i) {
    if (bytes[i] != 0 || bytes[i + 1] != 1 || bytes[i + 4] != 1 || bytes[i + 5] != 0) continue;
    bytes[i + 8] = 0xE8;
    bytes[i + 9] = 0xFD;
    break;
  }
  expect_error([&] { decode_rgb(bytes, "bomb.tif"); }, {"bomb.tif says that it is 65000x2", "30000 pixels a side"});
}

TEST(ReadTiff, SurvivesAnyChangedByte) {
  const Bytes plain = tiff_of(random_image(20, 20, 3, 1), {.compression = COMPRESSION_LZW});
  const Bytes tiles = tiff_of(random_image(20, 20, 3, 1), {.compression = COMPRESSION_ADOBE_DEFLATE, .tiled = true});
  for (const Bytes* bytes : {&plain, &tiles}) {
    const auto read = [](const Bytes& changed) { EXPECT_EQ(decode_rgb(changed, "changed").image.channels, 3); };
    EXPECT_GT(survived_changes(*bytes, 1500, 4, read), 0);
  }
}

}  // namespace
}  // namespace dermatome::data

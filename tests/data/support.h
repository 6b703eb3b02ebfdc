// What the data tests share: a folder that vanishes, pictures made with libjpeg and libpng, and errors looked at.
#pragma once

#include <gtest/gtest.h>
#include <png.h>
#include <stdlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <jpeglib.h>

#include "data/files.h"
#include "data/image/image.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"

namespace dermatome::data::testing {

using Bytes = std::vector<std::uint8_t>;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "dermatome-data-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  // Writes a file, making the folders above it.
  std::filesystem::path add(std::string_view name, std::span<const std::uint8_t> bytes) const {
    const auto file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    write_file(file, bytes);
    return file;
  }
  std::filesystem::path add(std::string_view name, std::string_view text = "x") const {
    return add(name, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }

 private:
  std::filesystem::path path_;
};

// Fails unless `action` throws Error, and without a full stop, that holds every one of `parts`; returns its message.
inline std::string expect_message(const std::function<void()>& action, const std::vector<std::string>& parts) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    for (const auto& part : parts) EXPECT_NE(message.find(part), std::string::npos) << part << " not in: " << message;
    EXPECT_FALSE(message.ends_with('.')) << message;
    return message;
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

// The same with one sentence: no line break.
inline void expect_error(const std::function<void()>& action, const std::vector<std::string>& parts) {
  const std::string message = expect_message(action, parts);
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

// The same with a sentence on the first line and one of `causes` on each of the others, in their order.
inline void expect_listed(const std::function<void()>& action, const std::vector<std::string>& parts,
                          const std::vector<std::string>& causes) {
  const std::string message = expect_message(action, parts);
  std::size_t at = message.find('\n');
  ASSERT_NE(at, std::string::npos) << message;
  EXPECT_EQ(message.substr(0, at).back(), ':') << message;
  EXPECT_EQ(static_cast<std::size_t>(std::count(message.begin(), message.end(), '\n')), causes.size()) << message;
  for (std::size_t i = 0; i < causes.size() && at != std::string::npos; ++i) {
    const std::size_t next = message.find('\n', at + 1);
    const std::string line = message.substr(at + 1, next == std::string::npos ? next : next - at - 1);
    EXPECT_NE(line.find(causes[i]), std::string::npos) << causes[i] << " not in: " << line;
    EXPECT_TRUE(line.starts_with("  ")) << line;
    at = next;
  }
}

inline Image random_image(int width, int height, int channels, std::uint64_t seed) {
  Image image = make_image(width, height, channels);
  Philox random(seed);
  for (auto& pixel : image.pixels) pixel = static_cast<std::uint8_t>(random.below(256));
  return image;
}

// A picture whose values change slowly, so that JPEG keeps them nearly.
inline Image smooth_image(int width, int height) {
  Image image = make_image(width, height, 3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      std::uint8_t* pixel = image.pixels.data() + image.offset(x, y);
      pixel[0] = static_cast<std::uint8_t>(40 + 160 * x / width);
      pixel[1] = static_cast<std::uint8_t>(200 - 120 * y / height);
      pixel[2] = static_cast<std::uint8_t>(60 + 60 * (x + y) / (width + height));
    }
  }
  return image;
}

// An APP1 marker's data: EXIF with one tag, the orientation, in either byte order.
inline Bytes exif_block(int orientation, bool little_endian) {
  const auto value = static_cast<std::uint8_t>(orientation);
  if (little_endian) {
    return {'E',  'x',  'i', 'f', 0, 0, 'I', 'I', 42,    0, 8, 0, 0, 0, 1, 0,
            0x12, 0x01, 3,   0,   1, 0, 0,   0,   value, 0, 0, 0, 0, 0, 0, 0};
  }
  return {'E',  'x',  'i', 'f', 0, 0, 'M', 'M', 0, 42,    0, 0, 0, 8, 0, 1,
          0x01, 0x12, 0,   3,   0, 0, 0,   1,   0, value, 0, 0, 0, 0, 0, 0};
}

struct JpegOptions {
  J_COLOR_SPACE input = JCS_RGB;
  J_COLOR_SPACE stored = JCS_YCbCr;
  int channels = 3;
  Bytes app1 = {};
  bool progressive = false;
  int luma_h = 1;  // sampling factors: 2 and 2 are 4:2:0
  int luma_v = 1;
};

// Samples of width * options.channels bytes a row as a JPEG of quality 95; fewer rows than `height` are repeated, so
// that a test of large pictures needs no memory for them.
inline Bytes make_jpeg(std::span<const std::uint8_t> samples, int width, int height, const JpegOptions& options) {
  jpeg_compress_struct state{};
  jpeg_error_mgr errors{};
  state.err = jpeg_std_error(&errors);
  jpeg_create_compress(&state);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&state, &out, &size);
  state.image_width = static_cast<JDIMENSION>(width);
  state.image_height = static_cast<JDIMENSION>(height);
  state.input_components = options.channels;
  state.in_color_space = options.input;
  jpeg_set_defaults(&state);
  jpeg_set_colorspace(&state, options.stored);
  jpeg_set_quality(&state, 95, TRUE);
  for (int c = 0; c < state.num_components; ++c)
    state.comp_info[c].h_samp_factor = state.comp_info[c].v_samp_factor = 1;
  state.comp_info[0].h_samp_factor = options.luma_h;
  state.comp_info[0].v_samp_factor = options.luma_v;
  if (options.progressive) jpeg_simple_progression(&state);
  jpeg_start_compress(&state, TRUE);
  if (!options.app1.empty()) {
    jpeg_write_marker(&state, JPEG_APP0 + 1, options.app1.data(), static_cast<unsigned>(options.app1.size()));
  }
  const auto row_bytes = static_cast<std::size_t>(width * options.channels);
  const std::size_t rows = samples.size() / row_bytes;
  while (state.next_scanline < state.image_height) {
    auto* row = const_cast<JSAMPROW>(samples.data()) + state.next_scanline % rows * row_bytes;
    jpeg_write_scanlines(&state, &row, 1);
  }
  jpeg_finish_compress(&state);
  jpeg_destroy_compress(&state);
  Bytes bytes(out, out + size);
  std::free(out);
  return bytes;
}

struct PngOptions {
  int bits = 8;
  int colour_type = PNG_COLOR_TYPE_RGB;
  std::vector<png_color> palette = {};
  Bytes palette_alpha = {};
  Bytes exif = {};  // without "Exif\0\0"
  bool interlaced = false;
};

// Rows as PNG stores them (packed below 8 bits, big-endian at 16) as a PNG file.
inline Bytes make_png(const Bytes& rows, int width, int height, const PngOptions& options) {
  Bytes bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &bytes,
      [](png_structp p, png_bytep data, std::size_t count) {
        auto* out = static_cast<Bytes*>(png_get_io_ptr(p));
        out->insert(out->end(), data, data + count);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), options.bits,
               options.colour_type, options.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!options.palette.empty()) {
    png_set_PLTE(png, info, options.palette.data(), static_cast<int>(options.palette.size()));
  }
  if (!options.palette_alpha.empty()) {
    png_set_tRNS(png, info, options.palette_alpha.data(), static_cast<int>(options.palette_alpha.size()), nullptr);
  }
  if (!options.exif.empty()) {
    Bytes exif = options.exif;
    png_set_eXIf_1(png, info, static_cast<png_uint_32>(exif.size()), exif.data());
  }
  std::vector<png_bytep> pointers;
  const std::size_t row_bytes = rows.size() / static_cast<std::size_t>(height);
  for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y) {
    pointers.push_back(const_cast<png_bytep>(rows.data()) + y * row_bytes);
  }
  png_write_info(png, info);
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

// Two bytes changed at random, in `rounds` ways: `read` throws Error or not, and nothing worse. How often it threw.
template <typename Read>
int survived_changes(const Bytes& bytes, int rounds, std::uint64_t seed, const Read& read) {
  Philox random(seed);
  int refused = 0;
  for (int round = 0; round < rounds; ++round) {
    Bytes changed = bytes;
    for (int i = 0; i < 2; ++i) {
      changed[random.below(static_cast<std::uint32_t>(changed.size()))] = static_cast<std::uint8_t>(random.below(256));
    }
    try {
      read(changed);
    } catch (const Error&) {
      ++refused;
    }
  }
  return refused;
}

inline Bytes grey_png(const Bytes& values, int width, int height) {
  return make_png(values, width, height, {.colour_type = PNG_COLOR_TYPE_GRAY});
}

// A grey picture with `inside` in a centred disc and `outside` around it.
inline Image disc(int width, int height, double radius, std::uint8_t inside = 255, std::uint8_t outside = 0) {
  Image image = make_image(width, height, 1, outside);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double dx = x - (width - 1) / 2.0;
      const double dy = y - (height - 1) / 2.0;
      if (dx * dx + dy * dy <= radius * radius) image.pixels[image.offset(x, y)] = inside;
    }
  }
  return image;
}

}  // namespace dermatome::data::testing

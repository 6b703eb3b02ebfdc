// Photographs and masks from JPEG, PNG, BMP and TIFF, told apart by content; JPEG, PNG and NumPy files written.
// Every failure is an Error of one sentence that names the file and the cause.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "data/image/image.h"
#include "data/image/orientation.h"

namespace dermatome::data {

// Larger pictures are refused before anything is decoded.
inline constexpr std::int64_t kMaxPixels = 200'000'000;
inline constexpr int kMaxSide = 30000;

enum class FileFormat : std::uint8_t { jpeg, png, bmp, tiff };

std::string_view name_of(FileFormat format);

// What a picture's header says. Sides are those of the stored pixel grid, before any turning.
struct ImageInfo {
  FileFormat format = FileFormat::jpeg;
  int width = 0;
  int height = 0;
  int channels = 0;  // as stored; 1 for a palette
  int bits = 8;      // per channel
  bool has_alpha = false;
  bool many_scans = false;  // a JPEG whose coefficients are all held while it is decoded, progressive ones for example
  Orientation orientation = Orientation::upright;
};

// A photograph as the network sees it: RGB, turned upright.
struct Photograph {
  Image image;
  Orientation orientation = Orientation::upright;  // to_stored(image, orientation) is the grid of the file
  int stored_width = 0;
  int stored_height = 0;
};

// A photograph in the pixel grid of its file, perhaps coarser: each pixel stands for `reduction` a side, the last of a
// row or column for what is left.
struct StoredPhotograph {
  Image image;  // RGB
  int reduction = 1;
  int width = 0;  // of the file
  int height = 0;
  Orientation orientation = Orientation::upright;
};

// A mask in the pixel grid of its file, never turned, with its grey values as stored: edges are not cut.
struct Mask {
  Image grey;                 // one channel
  bool was_zero_one = false;  // values were 0 and 1, and are now 0 and 255
  bool was_colour = false;    // the file has three equal channels, or a palette of greys
  bool was_lossy = false;     // a JPEG: values scatter around the true ones
};

// "libpng 1.6.39, libjpeg-turbo 2.1.5".
std::string codec_versions();

// The readers of `bytes` take the contents of a whole file; `name` stands for it in errors.

// Throws Error where the picture is of a format that is not read, too large, or its header is damaged.
ImageInfo probe(std::span<const std::uint8_t> bytes, std::string_view name);
ImageInfo probe(const std::filesystem::path& path);

// Alpha is dropped, 16 bits are rounded to 8, colour profiles are ignored. Throws Error for CMYK, for truncated or
// corrupt files, and as probe does.
Photograph decode_rgb(std::span<const std::uint8_t> bytes, std::string_view name);
Photograph read_rgb(const std::filesystem::path& path);

// As decode_rgb, but not turned, and a JPEG comes reduced by 2, 4 or 8 where its sides stay at least these: the time
// and the memory go with the reduced size.
StoredPhotograph decode_stored(std::span<const std::uint8_t> bytes, std::string_view name, int least_width,
                               int least_height);

// By what decode_stored reduces such a picture: 1, 2, 4 or 8.
int reduction_of(const ImageInfo& info, int least_width, int least_height);

// Grey values as stored. 16-bit values that fit 8 bits are taken as they are, others scaled. Throws Error for a colour
// mask whose channels differ, for one that is drawn in the alpha channel, and as decode_rgb does.
Mask decode_mask(std::span<const std::uint8_t> bytes, std::string_view name);
Mask read_mask(const std::filesystem::path& path);

// Grey or RGB, 8 bits, no alpha.
std::vector<std::uint8_t> encode_png(const Image& image);
void write_png(const std::filesystem::path& path, const Image& image);

// A mask, one channel of few values: six times as fast as encode_png, and smaller.
std::vector<std::uint8_t> encode_mask_png(const Image& mask);
void write_mask_png(const std::filesystem::path& path, const Image& mask);

// Grey or YCbCr 4:2:0; quality 1 to 100.
std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality = 90);

// A NumPy file (format 1.0, '<f4', C order) of shape (height, width).
void write_npy(const std::filesystem::path& path, std::span<const float> values, int height, int width);

}  // namespace dermatome::data

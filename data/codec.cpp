// Reading photographs and masks of every format.
#include "data/codec.h"

#include <algorithm>

#include "data/codec/bmp.h"
#include "data/codec/jpeg.h"
#include "data/codec/png.h"
#include "data/codec/sniff.h"
#include "data/codec/tiff.h"
#include "data/files.h"

namespace dermatome::data {
namespace {

// Enough for the headers of nearly every file, previews and colour profiles included.
constexpr std::size_t kHeaderBytes = std::size_t{256} * 1024;

// A mask that is drawn in the transparency has one colour throughout and an alpha that varies.
void check_alpha(const RawPicture& raw, std::string_view name) {
  const auto depth = static_cast<std::size_t>(raw.channels);
  if (depth == 1 || depth == 3) return;
  bool colour_varies = false;
  bool alpha_varies = false;
  for (std::size_t i = depth; i < raw.samples.size(); i += depth) {
    colour_varies = colour_varies || raw.samples[i] != raw.samples[0];
    alpha_varies = alpha_varies || raw.samples[i + depth - 1] != raw.samples[depth - 1];
  }
  DERMATOME_CHECK(colour_varies || !alpha_varies,
                  "{} keeps its mask in the alpha channel, which is not read: save it as a grey PNG", name);
}

// The first of `depth` samples of each pixel; three of them must be equal.
template <typename T>
std::vector<T> grey_samples(const std::vector<T>& samples, std::size_t depth, int width, std::string_view name) {
  std::vector<T> grey(samples.size() / depth);
  for (std::size_t i = 0; i < grey.size(); ++i) {
    const T* pixel = samples.data() + i * depth;
    if (depth >= 3 && (pixel[0] != pixel[1] || pixel[1] != pixel[2])) {
      const auto w = static_cast<std::size_t>(width);
      fail("{} is a colour picture, not a mask: its channels differ at column {}, row {}", name, i % w, i / w);
    }
    grey[i] = pixel[0];
  }
  return grey;
}

Mask mask_of(Image image, std::string_view name) {
  Mask mask;
  mask.was_colour = image.channels == 3;
  if (mask.was_colour) {
    image.pixels = grey_samples(image.pixels, 3, image.width, name);
    image.channels = 1;
  }
  mask.grey = std::move(image);
  return mask;
}

// 16 bits or alpha: rounding or dropping them could lose the mask.
Mask mask_of(const RawPicture& raw, std::string_view name) {
  check_alpha(raw, name);
  const auto grey = grey_samples(raw.samples, static_cast<std::size_t>(raw.channels), raw.width, name);
  Mask mask;
  mask.was_colour = raw.channels >= 3;
  mask.grey = make_image(raw.width, raw.height, 1);
  const bool fits = *std::max_element(grey.begin(), grey.end()) <= 255;
  std::transform(grey.begin(), grey.end(), mask.grey.pixels.begin(),
                 [fits](std::uint16_t value) { return static_cast<std::uint8_t>(fits ? value : (value + 128) / 257); });
  return mask;
}

// Only 0 and 1 in a lossless file can mean nothing but background and lesion.
void scale_zero_one(Mask& mask) {
  auto& pixels = mask.grey.pixels;
  if (mask.was_lossy || *std::max_element(pixels.begin(), pixels.end()) != 1) return;
  mask.was_zero_one = true;
  for (auto& pixel : pixels) pixel = pixel == 1 ? 255 : 0;
}

Image decode_plain(FileFormat format, std::span<const std::uint8_t> bytes, std::string_view name) {
  switch (format) {
    case FileFormat::jpeg: return jpeg::decode(bytes, name);
    case FileFormat::png: return png::decode(bytes, name);
    case FileFormat::bmp: return bmp::decode(bytes, name);
    case FileFormat::tiff: return tiff::decode(bytes, name);
  }
  fail("{} has no format", name);
}

}  // namespace

std::string_view name_of(FileFormat format) {
  switch (format) {
    case FileFormat::jpeg: return "JPEG";
    case FileFormat::png: return "PNG";
    case FileFormat::bmp: return "BMP";
    case FileFormat::tiff: return "TIFF";
  }
  return "?";
}

ImageInfo probe(std::span<const std::uint8_t> bytes, std::string_view name) {
  switch (sniff(bytes, name)) {
    case FileFormat::jpeg: return jpeg::probe(bytes, name);
    case FileFormat::png: return png::probe(bytes, name);
    case FileFormat::bmp: return bmp::probe(bytes, name);
    case FileFormat::tiff: return tiff::probe(bytes, name);
  }
  fail("{} has no format", name);
}

ImageInfo probe(const std::filesystem::path& path) {
  const auto start = read_file(path, kHeaderBytes);
  if (start.size() == kHeaderBytes) {
    try {
      return probe(start, path.string());
    } catch (const Error&) {
      // The header may be longer; the whole file then tells what is wrong, if anything is.
    }
  }
  return probe(start.size() < kHeaderBytes ? start : read_file(path), path.string());
}

Photograph decode_rgb(std::span<const std::uint8_t> bytes, std::string_view name) {
  const ImageInfo info = probe(bytes, name);
  Image stored = to_rgb(decode_plain(info.format, bytes, name));
  Photograph photograph{
      .image = {}, .orientation = info.orientation, .stored_width = info.width, .stored_height = info.height};
  photograph.image =
      info.orientation == Orientation::upright ? std::move(stored) : to_upright(stored, info.orientation);
  return photograph;
}

Photograph read_rgb(const std::filesystem::path& path) {
  return decode_rgb(read_file(path), path.string());
}

StoredPhotograph decode_stored(std::span<const std::uint8_t> bytes, std::string_view name, int least_width,
                               int least_height) {
  const ImageInfo info = probe(bytes, name);
  StoredPhotograph photograph{.image = {}, .width = info.width, .height = info.height, .orientation = info.orientation};
  photograph.reduction = reduction_of(info, least_width, least_height);
  photograph.image = to_rgb(photograph.reduction > 1 ? jpeg::decode(bytes, name, photograph.reduction)
                                                     : decode_plain(info.format, bytes, name));
  return photograph;
}

int reduction_of(const ImageInfo& info, int least_width, int least_height) {
  if (info.format != FileFormat::jpeg) return 1;
  for (const int reduction : {8, 4, 2}) {
    if (info.width / reduction >= least_width && info.height / reduction >= least_height) return reduction;
  }
  return 1;
}

Mask decode_mask(std::span<const std::uint8_t> bytes, std::string_view name) {
  const ImageInfo info = probe(bytes, name);
  Mask mask;
  if (info.bits == 16 || info.has_alpha) {  // PNG or TIFF
    mask = mask_of(info.format == FileFormat::png ? png::decode_raw(bytes, name) : tiff::decode_raw(bytes, name), name);
  } else {
    mask = mask_of(decode_plain(info.format, bytes, name), name);
  }
  mask.was_lossy = info.format == FileFormat::jpeg;
  scale_zero_one(mask);
  return mask;
}

Mask read_mask(const std::filesystem::path& path) {
  return decode_mask(read_file(path), path.string());
}

void write_png(const std::filesystem::path& path, const Image& image) {
  write_file(path, encode_png(image));
}

void write_mask_png(const std::filesystem::path& path, const Image& mask) {
  write_file(path, encode_mask_png(mask));
}

std::string codec_versions() {
  return fmt::format("{}, {}, {}", png::library_version(), jpeg::library_version(), tiff::library_version());
}

}  // namespace dermatome::data

// Image: 8-bit pixels in memory, the currency of the data room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/error.h"

namespace dermatome::data {

// Rows from top to bottom without padding, channels interleaved: pixels[(y * width + x) * channels + c].
// One channel is grey (or a mask), three are RGB. Owns its pixels.
struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<std::uint8_t> pixels;

  std::size_t row_bytes() const { return static_cast<std::size_t>(width) * static_cast<std::size_t>(channels); }
  std::size_t offset(int x, int y) const {
    return static_cast<std::size_t>(y) * row_bytes() + static_cast<std::size_t>(x) * static_cast<std::size_t>(channels);
  }
  std::uint8_t* row(int y) { return pixels.data() + offset(0, y); }
  const std::uint8_t* row(int y) const { return pixels.data() + offset(0, y); }

  friend bool operator==(const Image&, const Image&) = default;
};

struct Rgb {
  std::uint8_t r = 0;
  std::uint8_t g = 0;
  std::uint8_t b = 0;

  friend bool operator==(const Rgb&, const Rgb&) = default;
};

// Throws Error unless the sides are positive, there are 1 or 3 channels and the pixels are as many as these say.
void check_image(const Image& image);

// check_image, and that there is one channel.
void check_mask(const Image& mask);

// An image with every byte at `value`; throws Error as check_image does.
Image make_image(int width, int height, int channels, std::uint8_t value = 0);

// Grey repeated in three channels; RGB as it is.
Image to_rgb(Image image);

}  // namespace dermatome::data

// Padding and cutting, row by row.
#include "data/image/pad.h"

#include <algorithm>

#include "engine/core/error.h"

namespace dermatome::data {

Image pad(const Image& image, int width, int height) {
  DERMATOME_CHECK(image.width > 0 && image.height > 0 && width >= image.width && height >= image.height,
                  "{}x{} pixels cannot be padded to {}x{}", image.width, image.height, width, height);
  Image padded{.width = width, .height = height, .channels = image.channels, .pixels = {}};
  padded.pixels.resize(padded.row_bytes() * static_cast<std::size_t>(height));
  const auto pixel = static_cast<std::ptrdiff_t>(image.channels);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* from = image.row(std::min(y, image.height - 1));
    std::uint8_t* to = std::copy_n(from, image.row_bytes(), padded.row(y));
    for (int x = image.width; x < width; ++x, to += pixel) std::copy_n(to - pixel, pixel, to);
  }
  return padded;
}

std::vector<float> cut(std::span<const float> map, int stride, int width, int height) {
  std::vector<float> part;
  part.reserve(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  for (int y = 0; y < height; ++y) {
    const auto row = map.subspan(static_cast<std::size_t>(y) * static_cast<std::size_t>(stride));
    part.insert(part.end(), row.begin(), row.begin() + width);
  }
  return part;
}

}  // namespace dermatome::data

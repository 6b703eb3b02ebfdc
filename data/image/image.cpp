// Making and checking images.
#include "data/image/image.h"

#include <algorithm>

namespace dermatome::data {
namespace {

void check_form(int width, int height, int channels) {
  DERMATOME_CHECK(width > 0 && height > 0, "an image cannot be {}x{} pixels", width, height);
  DERMATOME_CHECK(channels == 1 || channels == 3, "an image has 1 or 3 channels, not {}", channels);
}

}  // namespace

void check_image(const Image& image) {
  check_form(image.width, image.height, image.channels);
  const std::size_t expected = image.row_bytes() * static_cast<std::size_t>(image.height);
  DERMATOME_CHECK(image.pixels.size() == expected, "an image of {}x{} pixels and {} channels has {} bytes, not {}",
                  image.width, image.height, image.channels, expected, image.pixels.size());
}

void check_mask(const Image& mask) {
  check_image(mask);
  DERMATOME_CHECK(mask.channels == 1, "a mask has one channel, not {}", mask.channels);
}

Image make_image(int width, int height, int channels, std::uint8_t value) {
  check_form(width, height, channels);
  Image image{.width = width, .height = height, .channels = channels, .pixels = {}};
  image.pixels.assign(image.row_bytes() * static_cast<std::size_t>(height), value);
  return image;
}

Image to_rgb(Image image) {
  check_image(image);
  if (image.channels == 3) return image;
  Image result = make_image(image.width, image.height, 3);
  std::uint8_t* out = result.pixels.data();
  for (const std::uint8_t grey : image.pixels) out = std::fill_n(out, 3, grey);
  return result;
}

}  // namespace dermatome::data

// Turning pixels: every orientation is a walk over the source with its own start and two strides.
#include "data/image/orientation.h"

#include <algorithm>
#include <utility>

namespace dermatome::data {
namespace {

// Source pixel of output (0, 0), and how far it moves for one step in output x and y; in pixels.
struct Walk {
  std::ptrdiff_t start;
  std::ptrdiff_t step_x;
  std::ptrdiff_t step_y;
};

Walk walk_of(Orientation orientation, std::ptrdiff_t w, std::ptrdiff_t h) {
  switch (orientation) {
    case Orientation::upright: return {0, 1, w};
    case Orientation::mirror: return {w - 1, -1, w};
    case Orientation::half_turn: return {w * h - 1, -1, -w};
    case Orientation::flip: return {w * (h - 1), 1, -w};
    case Orientation::transpose: return {0, w, 1};
    case Orientation::quarter_clockwise: return {w * (h - 1), -w, 1};
    case Orientation::transverse: return {w * h - 1, -w, -1};
    case Orientation::quarter_anticlockwise: return {w - 1, w, -1};
  }
  fail("{} is no EXIF orientation", static_cast<int>(orientation));
}

}  // namespace

std::string_view name_of(Orientation orientation) {
  switch (orientation) {
    case Orientation::upright: return "upright";
    case Orientation::mirror: return "mirror";
    case Orientation::half_turn: return "half turn";
    case Orientation::flip: return "flip";
    case Orientation::transpose: return "transpose";
    case Orientation::quarter_clockwise: return "quarter turn clockwise";
    case Orientation::transverse: return "transverse";
    case Orientation::quarter_anticlockwise: return "quarter turn anticlockwise";
  }
  return "?";
}

template <typename T>
std::vector<T> turned(std::span<const T> pixels, int width, int height, int channels, Orientation orientation) {
  DERMATOME_CHECK(width > 0 && height > 0 && channels > 0, "cannot turn {}x{} pixels of {} channels", width, height,
                  channels);
  const auto depth = static_cast<std::size_t>(channels);
  DERMATOME_CHECK(pixels.size() == static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * depth,
                  "{} values are not {}x{} pixels of {} channels", pixels.size(), width, height, channels);
  const Walk walk = walk_of(orientation, width, height);
  const int out_width = swaps_sides(orientation) ? height : width;
  const int out_height = swaps_sides(orientation) ? width : height;
  std::vector<T> result(pixels.size());
  T* out = result.data();
  for (int y = 0; y < out_height; ++y) {
    std::ptrdiff_t at = walk.start + y * walk.step_y;
    for (int x = 0; x < out_width; ++x, at += walk.step_x, out += depth) {
      std::copy_n(pixels.data() + static_cast<std::size_t>(at) * depth, depth, out);
    }
  }
  return result;
}

template std::vector<std::uint8_t> turned(std::span<const std::uint8_t>, int, int, int, Orientation);
template std::vector<float> turned(std::span<const float>, int, int, int, Orientation);

Image to_upright(const Image& stored, Orientation orientation) {
  check_image(stored);
  Image result{.width = stored.width, .height = stored.height, .channels = stored.channels, .pixels = {}};
  if (swaps_sides(orientation)) std::swap(result.width, result.height);
  result.pixels = turned<std::uint8_t>(stored.pixels, stored.width, stored.height, stored.channels, orientation);
  return result;
}

Image to_stored(const Image& upright, Orientation orientation) {
  return to_upright(upright, inverse(orientation));
}

}  // namespace dermatome::data

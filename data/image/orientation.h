// The eight EXIF orientations (TIFF 6.0 tag 274) and turning pixels by them, in both directions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/image/image.h"

namespace dermatome::data {

// Values as stored in EXIF. A name says what the stored pixels need to be upright.
enum class Orientation : std::uint8_t {
  upright = 1,
  mirror = 2,  // left and right exchanged
  half_turn = 3,
  flip = 4,       // top and bottom exchanged
  transpose = 5,  // rows and columns exchanged
  quarter_clockwise = 6,
  transverse = 7,  // transpose, then a half turn
  quarter_anticlockwise = 8,
};

std::string_view name_of(Orientation orientation);

constexpr bool swaps_sides(Orientation orientation) {
  return orientation >= Orientation::transpose;
}

// The turn that undoes `orientation`.
constexpr Orientation inverse(Orientation orientation) {
  if (orientation == Orientation::quarter_clockwise) return Orientation::quarter_anticlockwise;
  if (orientation == Orientation::quarter_anticlockwise) return Orientation::quarter_clockwise;
  return orientation;
}

// `pixels` (height x width x channels, rows from the top) turned; the result is width x height where the sides swap.
// Throws Error where the size does not fit. For u8 and f32.
template <typename T>
std::vector<T> turned(std::span<const T> pixels, int width, int height, int channels, Orientation orientation);

// From the pixel grid of the file to the upright one that the network sees.
Image to_upright(const Image& stored, Orientation orientation);

// From the upright grid back to that of the file: to_stored(to_upright(x, o), o) == x.
Image to_stored(const Image& upright, Orientation orientation);

}  // namespace dermatome::data

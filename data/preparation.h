// Preparation: how a photograph and its mask become what the network takes. Part of every checkpoint and cache entry.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/colour_constancy.h"
#include "data/stored_grid.h"

namespace dermatome::data {

// The sizes that a photograph can be prepared at.
inline constexpr int kLargestSize = 8192;

enum class Resize : std::uint8_t {
  squash,  // each side by itself to the size
  pad,  // the longer side to the size, the other in proportion; below and on the right the last row and column repeat
};
std::vector<std::string> resize_names();  // in the order of the enumerators
std::string name_of(Resize resize);
Resize parse_resize(std::string_view name);  // one of the names; throws Error for others

enum class MaskResize : std::uint8_t {
  area,     // lesion where more than half of a pixel is
  nearest,  // lesion where the pixel is that a new pixel's corner lies in, as cv2.INTER_NEAREST
};
std::vector<std::string> mask_resize_names();
std::string name_of(MaskResize resize);
MaskResize parse_mask_resize(std::string_view name);

struct Preparation {
  int size = 0;  // side of the network's input, pixels
  Resize resize = Resize::squash;
  ColourConstancy colours = ColourConstancy::none;
  MaskResize masks = MaskResize::area;

  Preparation() = default;
  Preparation(int size_of_all) : size(size_of_all) {}  // with everything else as it is by default
  Preparation(int size_of_all, Resize how, ColourConstancy which, MaskResize of_masks = MaskResize::area)
      : size(size_of_all), resize(how), colours(which), masks(of_masks) {}

  friend bool operator==(const Preparation&, const Preparation&) = default;
};

// Throws Error for a size outside 1..kLargestSize.
void check_size(const Preparation& preparation);

// "128 px", "128 px padded, gray-world".
std::string to_text(const Preparation& preparation);

struct Sides {
  int width = 0;
  int height = 0;
};

// What of the size x size pixels a photograph of these sides takes, from the top left.
Sides content_of(const Preparation& preparation, int width, int height);

// The same for an upright photograph that is stored in this grid.
Sides upright_content_of(const Preparation& preparation, const StoredGrid& grid);

}  // namespace dermatome::data

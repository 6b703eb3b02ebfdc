// From a mask as people store it to one of two classes in the grid of its photograph, where that is safe.
#pragma once

#include <string_view>

#include "data/codec.h"
#include "data/stored_grid.h"

namespace dermatome::data {

// How a mask differed from what the challenge publishes: grey PNG, 0 and 255, of the photograph's size.
struct MaskRepairs {
  bool grey_edged = false;  // had values besides two, and was cut at > 127
  bool zero_one = false;    // had the values 0 and 1
  bool colour = false;      // three equal channels, or a palette
  bool resized = false;     // of another size, but of the photograph's shape
  bool turned = false;      // drawn on the photograph as its EXIF orientation shows it

  bool any() const { return grey_edged || zero_one || colour || resized || turned; }
  friend bool operator==(const MaskRepairs&, const MaskRepairs&) = default;
};

struct RepairedMask {
  Image mask;  // 0 and 255; in the photograph's stored grid but for its size, see MaskRepairs::resized
  MaskRepairs repairs;
};

// A mask of another size is taken where both its sides are the photograph's times one factor, up to rounding, and are
// 64 pixels at least. Throws Error naming both files and sizes where it is none, and as check_two_classes does.
RepairedMask repair_mask(Mask mask, const StoredGrid& grid, std::string_view mask_name, std::string_view image_name);

// The mask at the photograph's stored size.
Image at_stored_size(const RepairedMask& mask, const StoredGrid& grid);

}  // namespace dermatome::data

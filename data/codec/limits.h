// The size check that every decoder makes before it asks for memory.
#pragma once

#include <string_view>

#include "data/codec.h"

namespace dermatome::data {

// Throws Error where a picture of that size is refused.
inline void check_size(std::int64_t width, std::int64_t height, std::string_view name) {
  DERMATOME_CHECK(width <= kMaxSide && height <= kMaxSide && width * height <= kMaxPixels,
                  "{} says that it is {}x{} pixels, above the limit of {} megapixels and {} pixels a side: shrink it",
                  name, width, height, kMaxPixels / 1'000'000, kMaxSide);
}

}  // namespace dermatome::data

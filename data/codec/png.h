// PNG through libpng. Internal to the codec; callers use data/codec.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/codec.h"

namespace dermatome::data::png {

// Samples as stored, low bit depths and palettes expanded: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
struct Raw {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<std::uint16_t> samples{};
  int bits = 8;  // 8 or 16
};

ImageInfo probe(std::span<const std::uint8_t> bytes, std::string_view name);

// Stored grid, 8 bits, grey or RGB; alpha is dropped.
Image decode(std::span<const std::uint8_t> bytes, std::string_view name);

// Everything the file says, for masks, whose values must not be rounded.
Raw decode_raw(std::span<const std::uint8_t> bytes, std::string_view name);

std::string library_version();

}  // namespace dermatome::data::png

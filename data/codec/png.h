// PNG through libpng. Internal to the codec; callers use data/codec.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/codec.h"
#include "data/codec/raw.h"

namespace dermatome::data::png {

ImageInfo probe(std::span<const std::uint8_t> bytes, std::string_view name);

// Stored grid, 8 bits, grey or RGB; alpha is dropped.
Image decode(std::span<const std::uint8_t> bytes, std::string_view name);

// Everything the file says, for masks, whose values must not be rounded.
RawPicture decode_raw(std::span<const std::uint8_t> bytes, std::string_view name);

std::string library_version();

}  // namespace dermatome::data::png

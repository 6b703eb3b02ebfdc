// BMP without a library, since Debian has no small one. Internal to the codec; callers use data/codec.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "data/codec.h"

namespace dermatome::data::bmp {

// Whether the bytes start as a BMP does; two letters alone would take many a text for one.
bool has_signature(std::span<const std::uint8_t> bytes);

ImageInfo probe(std::span<const std::uint8_t> bytes, std::string_view name);

// Stored grid, rows from the top; one channel where the palette holds greys only, else RGB. Alpha is dropped. Takes 1,
// 4, 8, 16, 24 and 32 bits a pixel; throws Error for run-length encoding and for what the format does not allow.
Image decode(std::span<const std::uint8_t> bytes, std::string_view name);

}  // namespace dermatome::data::bmp

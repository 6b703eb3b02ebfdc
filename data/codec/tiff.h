// TIFF through libtiff. Internal to the codec; callers use data/codec.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/codec.h"
#include "data/codec/raw.h"

namespace dermatome::data::tiff {

// Of the first page; previews and transparency masks behind it are passed over. Throws Error for further pages of other
// kinds, for what is neither grey, palette nor RGB (CMYK, Lab), for a camera's raw picture, for floating-point and
// signed values, and for other depths than 1, 2, 4, 8, 16 bits.
ImageInfo probe(std::span<const std::uint8_t> bytes, std::string_view name);

// Stored grid, 8 bits, grey or RGB; alpha is dropped.
Image decode(std::span<const std::uint8_t> bytes, std::string_view name);

// Everything the file says, for masks, whose values must not be rounded.
RawPicture decode_raw(std::span<const std::uint8_t> bytes, std::string_view name);

std::string library_version();

}  // namespace dermatome::data::tiff

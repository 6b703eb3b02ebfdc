// JPEG through libjpeg. Internal to the codec; callers use data/codec.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/codec.h"

namespace dermatome::data::jpeg {

ImageInfo probe(std::span<const std::uint8_t> bytes, std::string_view name);

// Stored grid, one channel for a grey JPEG, else RGB. Warnings of libjpeg about damaged data are errors. `reduction` is
// 1, 2, 4 or 8: each side comes divided by it and rounded up, cheaply, by decoding only the lowest frequencies.
Image decode(std::span<const std::uint8_t> bytes, std::string_view name, int reduction = 1);

std::string library_version();

}  // namespace dermatome::data::jpeg

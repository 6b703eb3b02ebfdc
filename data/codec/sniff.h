// What a file is, by its first bytes: names and extensions lie.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "data/codec.h"

namespace dermatome::data {

// Throws Error naming the format where it is none that is read, or saying that the file is empty.
FileFormat sniff(std::span<const std::uint8_t> bytes, std::string_view name);

}  // namespace dermatome::data

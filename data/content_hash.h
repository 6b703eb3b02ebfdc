// What a file holds, as a number of 128 bits: two files of different contents will not share it by accident.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace dermatome::data {

// XXH3 of 128 bits: as fast as memory, and no protection against somebody who means harm.
struct ContentHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend auto operator<=>(const ContentHash&, const ContentHash&) = default;
};

ContentHash hash_of(std::span<const std::uint8_t> bytes);
ContentHash hash_of(std::string_view text);

// 32 hexadecimal digits, and back; nothing for another text.
std::string to_text(const ContentHash& hash);
std::optional<ContentHash> parse_hash(std::string_view text);

}  // namespace dermatome::data

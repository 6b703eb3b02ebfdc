// XXH3 compiled into this file, so that nothing has to be linked.
#define XXH_INLINE_ALL
#include "data/content_hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <charconv>

namespace dermatome::data {

ContentHash hash_of(std::span<const std::uint8_t> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {.high = hash.high64, .low = hash.low64};
}

ContentHash hash_of(std::string_view text) {
  return hash_of(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

std::string to_text(const ContentHash& hash) {
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

std::optional<ContentHash> parse_hash(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  ContentHash hash;
  const char* start = text.data();
  const auto high = std::from_chars(start, start + 16, hash.high, 16);
  const auto low = std::from_chars(start + 16, start + 32, hash.low, 16);
  if (high.ptr != start + 16 || low.ptr != start + 32) return std::nullopt;
  return hash;
}

}  // namespace dermatome::data

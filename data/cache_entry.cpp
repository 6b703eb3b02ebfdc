// Layout, little-endian: magic, size, stored width, height, orientation, repairs (u32 each but the magic of 8 bytes),
// RGB, mask, and the hash of all before it.
#include "data/cache_entry.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "data/content_hash.h"

namespace dermatome::data {
namespace {

constexpr std::string_view kMagic = "DRMPAIR1";
constexpr std::string_view kPrintMagic = "DRMPRNT1";
constexpr std::size_t kNumbers = 5;
constexpr std::size_t kHeader = 8 + 4 * kNumbers;
constexpr std::size_t kHash = 16;

// Raised by whoever changes what prepare_pair makes of the same files.
constexpr int kPreparation = 1;

std::size_t pixels_of(int size) {
  return static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
}

void put(std::vector<std::uint8_t>& bytes, std::uint64_t value, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

std::uint32_t get(std::span<const std::uint8_t> bytes, std::size_t number) {
  const std::uint8_t* at = bytes.data() + 8 + 4 * number;
  return at[0] | static_cast<std::uint32_t>(at[1]) << 8 | static_cast<std::uint32_t>(at[2]) << 16 |
         static_cast<std::uint32_t>(at[3]) << 24;
}

std::uint32_t to_bits(const MaskRepairs& r) {
  const std::array<bool, 5> flags{r.grey_edged, r.zero_one, r.colour, r.resized, r.turned};
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < flags.size(); ++i) bits |= flags[i] ? 1u << i : 0u;
  return bits;
}

MaskRepairs from_bits(std::uint32_t bits) {
  const auto flag = [&](unsigned i) { return (bits >> i & 1) != 0; };
  return {.grey_edged = flag(0), .zero_one = flag(1), .colour = flag(2), .resized = flag(3), .turned = flag(4)};
}

std::array<std::uint8_t, kHash> hash_bytes(std::span<const std::uint8_t> content) {
  const ContentHash hash = hash_of(content);
  std::array<std::uint8_t, kHash> bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(hash.low >> (8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(hash.high >> (8 * i));
  }
  return bytes;
}

}  // namespace

std::uint64_t entry_bytes(int size) {
  return kHeader + pixels_of(size) * 4 + kHash;
}

std::string preparation_version(const Preparation& preparation) {
  std::string text = fmt::format("preparation {}, {}", kPreparation, codec_versions());
  if (preparation != Preparation(preparation.size)) text += ", " + to_text(preparation);  // others name no defaults
  return text;
}

std::vector<std::uint8_t> encode_entry(const PreparedPair& pair) {
  const StoredGrid& grid = pair.photograph.stored;
  std::vector<std::uint8_t> bytes(kMagic.begin(), kMagic.end());
  bytes.reserve(entry_bytes(pair.mask.width));
  put(bytes, static_cast<std::uint64_t>(pair.mask.width), 4);
  put(bytes, static_cast<std::uint64_t>(grid.width), 4);
  put(bytes, static_cast<std::uint64_t>(grid.height), 4);
  put(bytes, static_cast<std::uint64_t>(grid.orientation), 4);
  put(bytes, to_bits(pair.repairs), 4);
  bytes.insert(bytes.end(), pair.photograph.image.pixels.begin(), pair.photograph.image.pixels.end());
  bytes.insert(bytes.end(), pair.mask.pixels.begin(), pair.mask.pixels.end());
  const auto hash = hash_bytes(bytes);
  bytes.insert(bytes.end(), hash.begin(), hash.end());
  return bytes;
}

std::optional<PreparedPair> decode_entry(std::span<const std::uint8_t> bytes, int size) {
  if (bytes.size() != entry_bytes(size) || !std::equal(kMagic.begin(), kMagic.end(), bytes.begin()))
    return std::nullopt;
  const auto content = bytes.first(bytes.size() - kHash);
  const auto hash = hash_bytes(content);
  if (!std::equal(hash.begin(), hash.end(), bytes.end() - kHash)) return std::nullopt;
  const std::uint32_t orientation = get(bytes, 3);
  if (get(bytes, 0) != static_cast<std::uint32_t>(size) || orientation < 1 || orientation > 8) return std::nullopt;

  PreparedPair pair;
  pair.photograph.stored = {.width = static_cast<int>(get(bytes, 1)),
                            .height = static_cast<int>(get(bytes, 2)),
                            .orientation = static_cast<Orientation>(orientation)};
  pair.repairs = from_bits(get(bytes, 4));
  const auto rgb = bytes.subspan(kHeader, pixels_of(size) * 3);
  const auto mask = bytes.subspan(kHeader + pixels_of(size) * 3, pixels_of(size));
  pair.photograph.image = {.width = size, .height = size, .channels = 3, .pixels = {rgb.begin(), rgb.end()}};
  pair.mask = {.width = size, .height = size, .channels = 1, .pixels = {mask.begin(), mask.end()}};
  return pair;
}

std::uint64_t print_bytes() {
  return kPrintMagic.size() + Fingerprint().grey.size() + kHash;
}

std::vector<std::uint8_t> encode_print(const Fingerprint& print) {
  const std::size_t content = kPrintMagic.size() + print.grey.size();
  std::vector<std::uint8_t> bytes(content + kHash);
  std::copy(kPrintMagic.begin(), kPrintMagic.end(), bytes.begin());
  std::copy(print.grey.begin(), print.grey.end(), bytes.begin() + kPrintMagic.size());
  const auto hash = hash_bytes(std::span(bytes).first(content));
  std::copy(hash.begin(), hash.end(), bytes.end() - kHash);
  return bytes;
}

std::optional<Fingerprint> decode_print(std::span<const std::uint8_t> bytes) {
  Fingerprint print;
  if (bytes.size() != print_bytes()) return std::nullopt;
  const auto content = bytes.first(bytes.size() - kHash);
  const auto hash = hash_bytes(content);
  if (!std::equal(kPrintMagic.begin(), kPrintMagic.end(), bytes.begin()) ||
      !std::equal(hash.begin(), hash.end(), bytes.end() - kHash)) {
    return std::nullopt;
  }
  std::copy_n(content.begin() + kPrintMagic.size(), print.grey.size(), print.grey.begin());
  return print;
}

}  // namespace dermatome::data

// A bounds-checked reader of TIFF directories, as far as the orientation needs it.
#include "data/codec/exif.h"

namespace dermatome::data {
namespace {

constexpr std::uint32_t kOrientationTag = 274;
constexpr std::uint32_t kShortType = 3;

// Reads beyond the end give 0, which leads to no entries and so to upright.
struct Tiff {
  std::span<const std::uint8_t> bytes;
  bool little_endian;

  std::uint32_t byte(std::size_t at) const { return at < bytes.size() ? bytes[at] : 0; }
  std::uint32_t u16(std::size_t at) const {
    return little_endian ? byte(at) | byte(at + 1) << 8 : byte(at) << 8 | byte(at + 1);
  }
  std::uint32_t u32(std::size_t at) const {
    return little_endian ? u16(at) | u16(at + 2) << 16 : u16(at) << 16 | u16(at + 2);
  }
};

}  // namespace

Orientation read_exif_orientation(std::span<const std::uint8_t> tiff) {
  if (tiff.size() < 8) return Orientation::upright;
  const bool little = tiff[0] == 'I' && tiff[1] == 'I';
  const bool big = tiff[0] == 'M' && tiff[1] == 'M';
  const Tiff file{.bytes = tiff, .little_endian = little};
  if (!(little || big) || file.u16(2) != 42) return Orientation::upright;
  const std::size_t directory = file.u32(4);
  const std::size_t entries = file.u16(directory);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (file.u16(entry) != kOrientationTag) continue;
    const std::uint32_t value = file.u16(entry + 8);
    if (file.u16(entry + 2) != kShortType || value < 1 || value > 8) return Orientation::upright;
    return static_cast<Orientation>(value);
  }
  return Orientation::upright;
}

}  // namespace dermatome::data

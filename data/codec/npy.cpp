// NumPy's array file, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, version 1.0.
#include <bit>
#include <cstring>

#include "data/codec.h"
#include "data/files.h"

namespace dermatome::data {

void write_npy(const std::filesystem::path& path, std::span<const float> values, int height, int width) {
  static_assert(std::endian::native == std::endian::little);
  DERMATOME_CHECK(
      height > 0 && width > 0 && values.size() == static_cast<std::size_t>(height) * static_cast<std::size_t>(width),
      "{} values do not make a map of {}x{} pixels for {}", values.size(), width, height, path.string());
  constexpr std::size_t kPreamble = 10;  // magic, version, length of the header
  constexpr std::size_t kAlignment = 64;
  std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", height, width);
  const std::size_t unpadded = kPreamble + header.size() + 1;
  header.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  header += '\n';

  std::vector<std::uint8_t> bytes{0x93,
                                  'N',
                                  'U',
                                  'M',
                                  'P',
                                  'Y',
                                  1,
                                  0,
                                  static_cast<std::uint8_t>(header.size() & 0xFF),
                                  static_cast<std::uint8_t>(header.size() >> 8)};
  bytes.insert(bytes.end(), header.begin(), header.end());
  const std::size_t start = bytes.size();
  bytes.resize(start + values.size_bytes());
  std::memcpy(bytes.data() + start, values.data(), values.size_bytes());
  write_file(path, bytes);
}

}  // namespace dermatome::data

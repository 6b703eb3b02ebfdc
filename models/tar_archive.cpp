// A TAR archive is a sequence of blocks of 512 bytes: a header, then the contents, filled up.
#include "models/tar_archive.h"

#include <algorithm>
#include <optional>

#include "engine/core/error.h"

namespace dermatome {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kNameLength = 100;

std::string_view field(std::span<const std::byte> header, std::size_t begin, std::size_t length) {
  return {reinterpret_cast<const char*>(header.data()) + begin, length};
}

// Octal digits between blanks and zeros; empty for anything else (GNU's binary sizes are of files beyond 8 GB).
std::optional<std::uint64_t> octal(std::string_view digits) {
  const auto first = digits.find_first_not_of(' ');
  if (first == std::string_view::npos) return std::nullopt;
  digits.remove_prefix(first);
  std::uint64_t value = 0;
  for (const char digit : digits) {
    if (digit == ' ' || digit == '\0') break;
    if (digit < '0' || digit > '7') return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(digit - '0');
  }
  return value;
}

// The sum of the header's bytes, its own field counted as blanks.
std::uint64_t sum_of(std::span<const std::byte> header) {
  constexpr std::size_t kBegin = 148;
  constexpr std::size_t kEnd = 156;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    sum += i >= kBegin && i < kEnd ? std::uint64_t{' '} : static_cast<std::uint64_t>(header[i]);
  }
  return sum;
}

}  // namespace

std::map<std::string, std::span<const std::byte>> read_tar(std::span<const std::byte> bytes, const std::string& file) {
  std::map<std::string, std::span<const std::byte>> members;
  std::size_t at = 0;
  while (at < bytes.size()) {
    DERMATOME_CHECK(bytes.size() - at >= kBlock, "{}: the TAR archive is cut short", file);
    const auto header = bytes.subspan(at, kBlock);
    if (std::all_of(header.begin(), header.end(), [](std::byte byte) { return byte == std::byte{0}; })) break;
    at += kBlock;
    const auto size = octal(field(header, 124, 12));
    const auto sum = octal(field(header, 148, 8));
    DERMATOME_CHECK(size && sum && *sum == sum_of(header), "{}: the TAR archive is damaged at its byte {}", file,
                    at - kBlock);
    DERMATOME_CHECK(*size <= bytes.size() - at, "{}: the TAR archive is cut short: a member has {} bytes, {} are there",
                    file, *size, bytes.size() - at);
    const std::string_view name = field(header, 0, kNameLength);
    const char type = field(header, 156, 1)[0];
    if (type == '0' || type == '\0') {
      const bool fresh = members.emplace(std::string(name.substr(0, name.find('\0'))), bytes.subspan(at, *size)).second;
      DERMATOME_CHECK(fresh, "{}: the TAR archive has two members of one name", file);
    }
    at += std::min(bytes.size() - at, (static_cast<std::size_t>(*size) + kBlock - 1) / kBlock * kBlock);
  }
  return members;
}

}  // namespace dermatome

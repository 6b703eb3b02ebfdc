// The header of a safetensors file: 8 bytes of little-endian length, JSON, spaces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/core/shape.h"
#include "models/checksum.h"

namespace dermatome::safetensors {

inline constexpr std::size_t kLengthBytes = 8;
inline constexpr std::size_t kLongestHeader = 100'000'000;  // the limit of the format's own implementation

inline constexpr const char* kMetadataKey = "__metadata__";
inline constexpr const char* kChecksumKey = "dermatome.checksum";
inline constexpr std::size_t kChecksumDigits = 16;

struct Entry {
  std::string name;
  std::string type;  // "F32"
  Shape shape;
  std::size_t begin = 0;  // in the data, which starts behind the header
  std::size_t end = 0;
};

struct Header {
  std::map<std::string, std::string> metadata;
  std::vector<Entry> entries;  // in the order of the data, which they cover without overlap or gap
  std::size_t data_begin = 0;  // in the file
};

// Bytes an element of that type takes in the file; empty for what is no type of whole bytes that the format knows.
std::optional<std::size_t> element_bytes(const std::string& type);

// Believes nothing: throws Error, one sentence with `file` in front, unless the bytes are a whole safetensors file.
Header parse_header(std::span<const std::byte> bytes, const std::string& file);

// Where the 16 hexadecimal digits of the checksum lie in the file; empty when the header was not written by us.
std::optional<std::size_t> checksum_position(std::span<const std::byte> header);

// The sum over the header with those digits counted as zeros; the data comes behind.
Checksum checksum_of_header(std::span<const std::byte> header);

// Throws Error, with `file` in front, where the whole file's checksum is not the one that its header names, if any.
void check_checksum(std::span<const std::byte> bytes, const Header& header, const std::string& file);

}  // namespace dermatome::safetensors

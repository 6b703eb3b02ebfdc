// A 64-bit checksum that notices damage to a file. No protection against somebody who means harm.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace dermatome {

// FNV-1a (Fowler, Noll, Vo) over little-endian 64-bit words, each step followed by h ^= h >> 32; what is left at the
// end is filled up with zeros to a word. Each step maps states one to one, so a change within one word always shows.
class Checksum {
 public:
  // The parts' boundaries do not matter.
  void add(std::span<const std::byte> bytes);
  std::uint64_t value() const;

 private:
  static constexpr std::size_t kWord = 8;

  std::uint64_t hash_ = 0xcbf29ce484222325ull;
  std::byte pending_[kWord] = {};  // the start of a word that is not complete yet
  std::size_t pending_bytes_ = 0;
};

}  // namespace dermatome

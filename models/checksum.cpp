// The checksum of checkpoints.
#include "models/checksum.h"

#include <algorithm>
#include <cstring>

namespace dermatome {
namespace {

std::uint64_t step(std::uint64_t hash, const std::byte* word_bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, word_bytes, sizeof(word));
  hash = (hash ^ word) * 0x100000001b3ull;
  return hash ^ (hash >> 32);
}

}  // namespace

void Checksum::add(std::span<const std::byte> bytes) {
  if (pending_bytes_ > 0) {
    const std::size_t taken = std::min(bytes.size(), kWord - pending_bytes_);
    std::copy_n(bytes.begin(), taken, pending_ + pending_bytes_);
    pending_bytes_ += taken;
    bytes = bytes.subspan(taken);
    if (pending_bytes_ < kWord) return;
    hash_ = step(hash_, pending_);
  }
  const std::size_t whole = bytes.size() / kWord * kWord;
  for (std::size_t at = 0; at < whole; at += kWord) hash_ = step(hash_, bytes.data() + at);
  pending_bytes_ = bytes.size() - whole;
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(whole), pending_bytes_, pending_);
}

std::uint64_t Checksum::value() const {
  if (pending_bytes_ == 0) return hash_;
  std::byte last[kWord] = {};
  std::copy_n(pending_, pending_bytes_, last);
  return step(hash_, last);
}

}  // namespace dermatome

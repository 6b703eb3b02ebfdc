// Which Philox stream belongs to which draw, so that no two share numbers, and the shuffle that uses them.
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/philox.h"

namespace dermatome::data {

// The upper byte of a stream; other rooms that draw from the same seed keep it at 0 or take values of their own.
enum class RandomUse : std::uint8_t { augmentation = 0xDA, epoch_order = 0xDB, split = 0xDC };

// Stream of one use in one epoch for one sample. Throws Error for an epoch outside 0 .. 2^24 - 1.
inline std::uint64_t random_stream(RandomUse use, std::int64_t epoch = 0, std::uint32_t sample = 0) {
  DERMATOME_CHECK(epoch >= 0 && epoch < (1 << 24), "epoch {} is outside 0 to {}", epoch, (1 << 24) - 1);
  return static_cast<std::uint64_t>(use) << 56 | static_cast<std::uint64_t>(epoch) << 32 | sample;
}

// 0 .. count-1 in random order (Fisher-Yates, Knuth's algorithm P).
inline std::vector<std::uint32_t> shuffled(std::uint32_t count, Philox random) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  for (std::uint32_t i = count; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace dermatome::data

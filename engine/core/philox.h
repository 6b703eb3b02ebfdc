// Philox4x32-10, the counter-based random generator of Salmon et al. 2011 (doi:10.1145/2063384.2063405):
// the same numbers for the same (key, counter) on every device, in any order.
#pragma once

#include <array>
#include <cstdint>

namespace dermatome {

using PhiloxBlock = std::array<std::uint32_t, 4>;

// One block of four 32-bit numbers for a 64-bit key and a 128-bit counter.
constexpr PhiloxBlock philox4x32(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high) {
  std::uint32_t k0 = static_cast<std::uint32_t>(key);
  std::uint32_t k1 = static_cast<std::uint32_t>(key >> 32);
  PhiloxBlock c{static_cast<std::uint32_t>(counter_low), static_cast<std::uint32_t>(counter_low >> 32),
                static_cast<std::uint32_t>(counter_high), static_cast<std::uint32_t>(counter_high >> 32)};
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xD2511F53ull * c[0];
    const std::uint64_t p1 = 0xCD9E8D57ull * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

// A stream of numbers out of one (seed, stream) pair; cheap to make, has no hidden global state.
class Philox {
 public:
  explicit constexpr Philox(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  constexpr std::uint32_t next() {
    if (used_ == 4) {
      block_ = philox4x32(seed_, counter_++, stream_);
      used_ = 0;
    }
    return block_[used_++];
  }

  // Uniform in [0, 1), 24 random bits, exactly representable in f32.
  constexpr float uniform() { return static_cast<float>(next() >> 8) * 0x1p-24f; }

  // Uniform in [low, high).
  constexpr float uniform(float low, float high) { return low + (high - low) * uniform(); }

  // Uniform integer in [0, bound), without modulo bias worth speaking of (Lemire's multiply-shift).
  constexpr std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((static_cast<std::uint64_t>(next()) * bound) >> 32);
  }

 private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t counter_ = 0;
  PhiloxBlock block_{};
  unsigned used_ = 4;
};

}  // namespace dermatome

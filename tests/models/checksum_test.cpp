// The checksum of checkpoints.
#include "models/checksum.h"

#include <gtest/gtest.h>

#include <vector>

namespace dermatome {
namespace {

std::vector<std::byte> counting(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 37 + 11);
  return bytes;
}

std::uint64_t sum_of(std::span<const std::byte> bytes) {
  Checksum sum;
  sum.add(bytes);
  return sum.value();
}

TEST(Checksum, DoesNotDependOnHowTheBytesAreCut) {
  const auto bytes = counting(41);
  const std::uint64_t whole = sum_of(bytes);
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      Checksum sum;
      sum.add(std::span(bytes).first(first));
      sum.add(std::span(bytes).subspan(first, second - first));
      sum.add(std::span(bytes).subspan(second));
      ASSERT_EQ(sum.value(), whole) << first << ", " << second;
    }
  }
}

TEST(Checksum, FollowsItsFormula) {
  EXPECT_EQ(sum_of({}), 0xcbf29ce484222325ull);
  const std::byte one[1] = {std::byte{1}};
  const std::uint64_t product = (0xcbf29ce484222325ull ^ 1) * 0x100000001b3ull;
  EXPECT_EQ(sum_of(one), product ^ (product >> 32));
}

TEST(Checksum, ChangesWithEveryBit) {
  const auto bytes = counting(20);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    EXPECT_NE(sum_of(damaged), sum_of(bytes)) << bit;
  }
}

}  // namespace
}  // namespace dermatome

// Philox against the known answers of its authors, and its streams.
#include "engine/core/philox.h"

#include <gtest/gtest.h>

#include <set>

namespace dermatome {
namespace {

// Random123's kat_vectors, philox4x32 with 10 rounds.
TEST(Philox, GivesTheKnownAnswers) {
  EXPECT_EQ(philox4x32(0, 0, 0), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32(~0ull, ~0ull, ~0ull), (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32(0x299f31d0a4093822ull, 0x85a308d3243f6a88ull, 0x0370734413198a2eull),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, StreamsOfOneSeedDiffer) {
  std::set<std::uint32_t> seen;
  for (std::uint64_t stream = 0; stream < 100; ++stream) seen.insert(Philox(1, stream).next());
  EXPECT_EQ(seen.size(), 100u);
}

TEST(Philox, StreamContinuesOverBlocks) {
  Philox random(5, 7);
  for (std::uint64_t block = 0; block < 3; ++block) {
    for (const std::uint32_t expected : philox4x32(5, block, 7)) EXPECT_EQ(random.next(), expected);
  }
}

TEST(Philox, UniformStaysInsideItsBounds) {
  Philox random(3);
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const float u = random.uniform();
    EXPECT_TRUE(u >= 0.0f && u < 1.0f);
    sum += static_cast<double>(u);
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.02);
}

TEST(Philox, BelowReachesEveryNumber) {
  Philox random(3);
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.below(7));
  EXPECT_EQ(seen, (std::set<std::uint32_t>{0, 1, 2, 3, 4, 5, 6}));
}

}  // namespace
}  // namespace dermatome

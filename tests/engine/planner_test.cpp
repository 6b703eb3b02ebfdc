// The planner: nothing alive shares memory, and little is wasted.
#include "engine/compile/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "engine/core/philox.h"

namespace dermatome {
namespace {

// The first pair of lifetimes that are alive together and share a byte, or an empty text.
std::string clash(const std::vector<Lifetime>& lifetimes, const ArenaPlan& plan) {
  for (std::size_t a = 0; a < lifetimes.size(); ++a) {
    if (plan.offsets[a] % 64 != 0) return "value " + std::to_string(a) + " is not aligned";
    if (plan.offsets[a] + lifetimes[a].bytes > plan.bytes) return "value " + std::to_string(a) + " leaves the arena";
    for (std::size_t b = a + 1; b < lifetimes.size(); ++b) {
      const bool alive_together = lifetimes[a].first <= lifetimes[b].last && lifetimes[b].first <= lifetimes[a].last;
      const bool share = plan.offsets[a] < plan.offsets[b] + lifetimes[b].bytes &&
                         plan.offsets[b] < plan.offsets[a] + lifetimes[a].bytes;
      if (alive_together && share) return std::to_string(a) + " and " + std::to_string(b) + " clash";
    }
  }
  return "";
}

std::vector<Lifetime> random_lifetimes(Philox& random, int count, int steps) {
  std::vector<Lifetime> lifetimes;
  for (int i = 0; i < count; ++i) {
    const int first = static_cast<int>(random.below(static_cast<std::uint32_t>(steps)));
    const int length = static_cast<int>(random.below(random.below(4) == 0 ? static_cast<std::uint32_t>(steps) : 4));
    lifetimes.push_back({.bytes = random.below(5000), .first = first, .last = std::min(steps - 1, first + length)});
  }
  return lifetimes;
}

// What training a U-Net keeps: each level's activations live from the forward node to the mirrored backward node, with
// short-lived gradients and workspaces on the way.
std::vector<Lifetime> unet_lifetimes(Philox& random, int layers) {
  std::vector<Lifetime> lifetimes;
  const int steps = 2 * layers;
  for (int i = 0; i < layers; ++i) {
    const int level = i < layers / 2 ? i / 4 : (layers - 1 - i) / 4;
    const std::size_t bytes = (std::size_t{1} << 20) >> std::min(level, 8);
    const int copies = 1 + static_cast<int>(random.below(3));
    for (int k = 0; k < copies; ++k) lifetimes.push_back({.bytes = bytes, .first = i, .last = steps - 1 - i});
    lifetimes.push_back({.bytes = bytes, .first = steps - 1 - i, .last = std::min(steps - 1, steps + 1 - i)});
    lifetimes.push_back({.bytes = random.below(200000), .first = i, .last = i});
  }
  return lifetimes;
}

TEST(Planner, NothingAliveSharesMemory) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Philox random(seed);
    const auto lifetimes = random_lifetimes(random, 5 + static_cast<int>(random.below(120)), 40);
    const ArenaPlan plan = plan_arena(lifetimes);
    EXPECT_EQ(clash(lifetimes, plan), "") << "seed " << seed;
    EXPECT_GE(plan.bytes, plan.lower_bound) << "seed " << seed;
  }
}

TEST(Planner, LowerBoundIsTheLargestLiveSet) {
  const std::vector<Lifetime> lifetimes{{64, 0, 1}, {128, 1, 2}, {256, 2, 3}, {1, 3, 3}};
  EXPECT_EQ(plan_arena(lifetimes).lower_bound, 384u);
}

TEST(Planner, ReusesWhatHasDied) {
  const std::vector<Lifetime> chain{{640, 0, 1}, {640, 1, 2}, {640, 2, 3}, {640, 3, 4}};
  EXPECT_EQ(plan_arena(chain).bytes, 1280u);
}

TEST(Planner, TrainingANetworkNeedsLittleMoreThanTheBound) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Philox random(seed);
    const auto lifetimes = unet_lifetimes(random, 60);
    const ArenaPlan plan = plan_arena(lifetimes);
    EXPECT_EQ(clash(lifetimes, plan), "");
    EXPECT_LE(static_cast<double>(plan.bytes), 1.15 * static_cast<double>(plan.lower_bound)) << "seed " << seed;
  }
}

TEST(Planner, SwitchedOffEveryValueHasItsOwnMemory) {
  Philox random(1);
  auto lifetimes = random_lifetimes(random, 50, 20);
  const ArenaPlan plan = plan_arena(lifetimes, false);
  std::size_t total = 0;
  for (auto& lifetime : lifetimes) {
    total += (lifetime.bytes + 63) / 64 * 64;
    lifetime.first = 0;
    lifetime.last = 20;  // as if all lived for ever
  }
  EXPECT_EQ(plan.bytes, total);
  EXPECT_EQ(clash(lifetimes, plan), "");
}

TEST(Planner, EmptyAndZeroSizedValuesAreFine) {
  EXPECT_EQ(plan_arena({}).bytes, 0u);
  const std::vector<Lifetime> lifetimes{{0, 0, 3}, {100, 0, 3}, {0, 1, 1}};
  EXPECT_EQ(clash(lifetimes, plan_arena(lifetimes)), "");
}

}  // namespace
}  // namespace dermatome

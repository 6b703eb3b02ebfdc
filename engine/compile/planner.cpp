// Greedy offset assignment, largest value first, lowest gap that fits best.
#include "engine/compile/planner.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace dermatome {
namespace {

constexpr std::size_t kAlignment = 64;

bool overlap(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last;
}

std::size_t largest_live_set(const std::vector<Lifetime>& lifetimes) {
  int last = 0;
  for (const auto& lifetime : lifetimes) last = std::max(last, lifetime.last);
  std::vector<std::ptrdiff_t> change(static_cast<std::size_t>(last) + 2, 0);
  for (const auto& lifetime : lifetimes) {
    const auto bytes = static_cast<std::ptrdiff_t>(bytes_in_arena(lifetime.bytes));
    change[static_cast<std::size_t>(lifetime.first)] += bytes;
    change[static_cast<std::size_t>(lifetime.last) + 1] -= bytes;
  }
  std::ptrdiff_t live = 0;
  std::ptrdiff_t most = 0;
  for (const auto delta : change) most = std::max(most, live += delta);
  return static_cast<std::size_t>(most);
}

// The smallest gap between the given placed values (sorted by offset) that holds `bytes`, else behind the last.
std::size_t best_gap(const std::vector<std::pair<std::size_t, std::size_t>>& taken, std::size_t bytes) {
  std::size_t best = std::numeric_limits<std::size_t>::max();
  std::size_t best_waste = std::numeric_limits<std::size_t>::max();
  std::size_t end = 0;
  for (const auto& [offset, size] : taken) {
    if (offset >= end + bytes && offset - end - bytes < best_waste) {
      best = end;
      best_waste = offset - end - bytes;
    }
    end = std::max(end, offset + size);
  }
  return best == std::numeric_limits<std::size_t>::max() ? end : best;
}

}  // namespace

std::size_t bytes_in_arena(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

ArenaPlan plan_arena(const std::vector<Lifetime>& lifetimes, bool share) {
  ArenaPlan plan;
  plan.offsets.resize(lifetimes.size());
  plan.lower_bound = largest_live_set(lifetimes);
  std::vector<std::size_t> by_size(lifetimes.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](std::size_t a, std::size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });
  std::vector<std::size_t> placed;  // by offset
  for (const std::size_t i : by_size) {
    const std::size_t bytes = bytes_in_arena(lifetimes[i].bytes);
    std::vector<std::pair<std::size_t, std::size_t>> taken;
    for (const std::size_t other : placed) {
      if (!share || overlap(lifetimes[i], lifetimes[other])) {
        taken.emplace_back(plan.offsets[other], bytes_in_arena(lifetimes[other].bytes));
      }
    }
    plan.offsets[i] = best_gap(taken, bytes);
    plan.bytes = std::max(plan.bytes, plan.offsets[i] + bytes);
    const auto place = std::find_if(placed.begin(), placed.end(),
                                    [&](std::size_t other) { return plan.offsets[other] > plan.offsets[i]; });
    placed.insert(place, i);
  }
  return plan;
}

}  // namespace dermatome

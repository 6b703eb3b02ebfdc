// Planner: where each value lies in one arena. A page of code with an off switch.
#pragma once

#include <cstddef>
#include <vector>

namespace dermatome {

// A value's memory need: alive from the step that defines it to the last step that reads it, both included.
struct Lifetime {
  std::size_t bytes = 0;
  int first = 0;
  int last = 0;
};

// What a value takes in an arena: offsets are 64-byte aligned.
std::size_t bytes_in_arena(std::size_t bytes);

struct ArenaPlan {
  std::vector<std::size_t> offsets;  // one per lifetime, 64-byte aligned
  std::size_t bytes = 0;
  std::size_t lower_bound = 0;  // the largest sum of what is alive at one step: no plan needs less
};

// Two lifetimes share memory only if one ends before the other begins. Greedy by size (Pisarchyk & Lee 2020,
// arXiv 2001.03288, "greedy by size for offset calculation"). `share` false gives each value its own memory.
ArenaPlan plan_arena(const std::vector<Lifetime>& lifetimes, bool share = true);

}  // namespace dermatome

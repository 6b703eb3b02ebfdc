// Where the memory of a step goes: what is alive when the arena is fullest, and how much there is of each kind.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

#include "tools/measurement/step_bench.h"

namespace dermatome::measurement {

// Something in the arena. Nodes are numbered as in the profile of the same bench.
struct LiveValue {
  std::string name;   // of the node that writes it; in brackets the output, where it is not the first
  std::string kind;   // "kept" (for the backward pass), "passing", "gradient", "workspace", "reordered"
  std::string shape;  // empty for a workspace
  std::size_t bytes = 0;
  int first = 0;  // the node that writes it
  int last = 0;   // the last node that needs it
};

struct MemoryKind {
  std::string name;
  std::size_t bytes = 0;
};

struct MemoryProfile {
  int node = -1;                  // where the largest live set is; -1: nothing was measured
  std::string program, name, op;  // as in the profile's nodes
  std::vector<LiveValue> values;  // what is alive there, largest first
  std::vector<MemoryKind> kinds;  // of the whole step: the live set by kind, then what lies outside of it

  std::size_t live_bytes() const;
  std::size_t bytes() const;  // of all kinds
};

// Of the bench's program with the largest live set, at that set's step; of memory outside the arenas all that the bench
// holds.
MemoryProfile measure_memory(StepBench& bench);

nlohmann::json to_json(const MemoryProfile& memory);
MemoryProfile memory_from_json(const nlohmann::json& json);

// The `count` largest values with the nodes that need them, and the kinds. Empty where nothing was measured.
std::string memory_text(const MemoryProfile& memory, std::size_t count);
// The kinds of both beside each other. Empty where one of both was not measured.
std::string memory_difference_text(const MemoryProfile& before, const MemoryProfile& after);

}  // namespace dermatome::measurement

// Whether the steps of a program find in memory what they read: from the addresses alone, nothing is run.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "engine/compile/program.h"

namespace dermatome::harness {

struct MemoryCheck {
  // In which the steps are looked at; empty: theirs.
  std::vector<std::size_t> order = {};
  // Taken for steps of the second branch: those that are, and where this is not 0 all weight gradients too, awaited so
  // many steps later.
  int beside = 0;
};

// One sentence for each operand that does not hold, at its step's turn, what the graph says: the value of an earlier
// step, unspoilt; and for each step that touches what one beside it, not yet awaited, still reads or writes.
std::vector<std::string> conflicts(const Program& program, const MemoryCheck& check = {});

}  // namespace dermatome::harness

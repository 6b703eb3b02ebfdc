// Chain: programs that run behind each other as one, once or several rounds. Where the device records, all of it is one
// launch.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/compile/program.h"

namespace dermatome {

// What rounds read, or leave: row r of `rows`, a tensor on the chain's device of as many rows as there are rounds, is
// copied into the program's input in front of round r, or receives its output behind it.
struct RoundRows {
  Program* program = nullptr;
  std::string name;
  Tensor rows;
};

// What `rows` of so many rounds have to be, for an input or output of that description.
TensorDesc rows_of(const TensorDesc& of_round, int rounds);

struct Rounds {
  int count = 1;
  std::vector<RoundRows> inputs = {};
  std::vector<RoundRows> outputs = {};
};

class Chain {
 public:
  // Of programs over one store, which must outlive the chain. A program may be in several chains; while one runs, its
  // programs share a stream. Throws Error where rows do not have the shape and device of what they are copied to or
  // from, or belong to a program that is not in the chain.
  explicit Chain(std::vector<Program*> programs, Rounds rounds = {});
  ~Chain();
  Chain(Chain&&) noexcept;

  // As running one program behind the other, round after round; inputs that have no rows keep what they hold. Throws
  // what Program::run does. How many seconds the device was at work, from the first of it to the last: by a GPU's own
  // clock where all of it is one launch, elsewhere by the host's.
  double run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dermatome

// Program: a graph compiled for one device into a flat list of kernels over planned memory.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/compile/kernel.h"
#include "engine/compile/options.h"
#include "engine/core/error.h"
#include "engine/graph/state_store.h"

namespace dermatome {

// One kernel launch.
struct Step {
  int node = -1;  // of Program::graph(); -1 for a reorder or a copy that the compiler added
  std::string name;
  std::unique_ptr<Kernel> kernel;
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
  void* workspace = nullptr;
  int awaited = -1;  // on the second branch: the step in front of which its memory is needed again; else -1
};

struct ProgramMemory {
  std::size_t arena = 0;
  std::size_t arena_lower_bound = 0;  // the largest live set
  std::size_t inputs_and_outputs = 0;
};

// When each part of one run began and how long it took, in seconds since the run began.
struct RunTimes {
  struct Span {
    double start = 0;
    double seconds = 0;
  };
  Span prepared;            // refreshing prepared copies of the states that were written since the last run
  std::vector<Span> steps;  // one per step
  double total = 0;
};

// A program does not fit into what the device has left.
class OutOfMemory : public Error {
 public:
  OutOfMemory(std::size_t needed, std::size_t available)
      : Error(fmt::format("this needs {:.0f} MiB of memory and {:.0f} MiB are left",
                          static_cast<double>(needed) / 1048576.0, static_cast<double>(available) / 1048576.0)),
        needed(needed),
        available(available) {}
  std::size_t needed;
  std::size_t available;
};

class Program {
 public:
  // Runs the passes, chooses kernels, plans the arena. States must exist in the store (StateStore::create) and the
  // store must outlive the program. Throws Error when a kernel is missing, OutOfMemory when the arena exceeds what the
  // device has left.
  Program(Graph graph, Device device, StateStore& store, const CompileOptions& options = {});
  ~Program();
  Program(Program&&) noexcept;

  // An input's memory: allocated by the first call unless a tensor was bound, and kept until another is. An input that
  // was neither asked for nor bound makes run() throw.
  Tensor input(std::string_view name);
  void bind(std::string_view name, const Tensor& tensor);  // same type, shape and device; shared, not copied
  Tensor output(std::string_view name) const;              // valid after run(), overwritten by the next

  // Runs every step once and waits. States that the graph writes have their next value afterwards.
  void run();
  // As run(), with a look at the clock around each step.
  RunTimes run_timed();
  // Runs one step alone on what its operands hold, `times` times one behind the other, and waits; for benchmarks, after
  // a run() has filled them. Without the planner (CompileOptions::planner) each still holds what it held in that run.
  // Gives the seconds of all, by marks on the device where it has them and by the host's clock elsewhere.
  double run_step(std::size_t index, int times = 1);

  const Graph& graph() const;
  const std::vector<Step>& steps() const;
  // What makes the prepared copies of states that steps read (Kernel::describe), one for each copy.
  std::vector<std::string> prepared_by() const;
  const ProgramMemory& memory() const;
  const std::map<std::string, int>& applied_passes() const;
  Device device() const;

 private:
  friend class Chain;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dermatome

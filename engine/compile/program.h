// Program: a graph compiled for one device into a flat list of kernels over planned memory.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
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

// What a program keeps in its arena while some of its steps need it.
struct ArenaUse {
  enum class Kind : std::uint8_t {
    value,      // of the graph
    workspace,  // of one step's kernel
    reordered,  // a copy of a value in the layout that the kernel of the next step reads
  };
  Kind kind = Kind::value;
  int value = -1;  // of Program::graph(); -1 for a workspace
  int first = 0;   // the step that writes it
  int last = 0;    // the last step that needs it
  int slot = 0;    // uses of one slot lie in the same memory: each takes over, in place, where the one before ends
  std::size_t offset = 0;  // in the arena
  std::size_t bytes = 0;   // of the slot
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

// What a program takes of its device, or several of one store together.
struct ProgramNeeds {
  ProgramMemory memory;
  std::size_t outputs = 0;  // of memory.inputs_and_outputs; the inputs may be bound to what is there anyway
  std::map<std::pair<std::string, std::string>, std::size_t> prepared_copies;  // bytes by state and layout

  std::size_t prepared_bytes() const;
  void add(const ProgramNeeds& other);  // copies that both read are there once
};

class Program {
 public:
  // What the program would take, found by making its kernels and planning its arena, and taking nothing: the states
  // need not exist.
  static ProgramNeeds needs(Graph graph, Device device, const CompileOptions& options = {});

  // Runs the passes, chooses kernels, plans the arena. States must exist in the store (StateStore::create) and the
  // store must outlive the program. Throws Error when a kernel is missing, OutOfMemory when the arena, or what goes
  // with it, exceeds what the device has left.
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
  // All that lies in the arena, by slot and then by time. What is alive at a step, each slot counted once, adds up to
  // at most memory().arena_lower_bound, and at one step to just that.
  std::vector<ArenaUse> lifetimes() const;
  const std::map<std::string, int>& applied_passes() const;
  Device device() const;

 private:
  friend class Chain;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dermatome

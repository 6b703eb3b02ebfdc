// What a Program is made of; program_compile.cpp fills it, program.cpp runs it.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "engine/compile/planner.h"
#include "engine/compile/program.h"
#include "engine/compile/written_copies.h"
#include "engine/core/threads.h"

namespace dermatome {

inline std::size_t at(Value value) {
  return static_cast<std::size_t>(value.id);
}

// Where a value's memory comes from.
enum class Storage : std::uint8_t { none, input, state, output, arena };

struct Placement {
  Storage storage = Storage::none;
  Tensor tensor;  // input, state, output
  Tensor output;  // of a state's value that is an output too: a copy of its own
  int slot = -1;  // arena
};

// A state's prepared copy as one program uses it.
struct PreparedUse {
  std::shared_ptr<State> state;
  std::shared_ptr<PreparedCopy> copy;
  std::shared_ptr<Kernel> reorder;
  Operand from = {};
  Operand to = {};

  bool is_fresh() const { return copy->version == state->version; }
};

struct Program::Impl {
  using Clock = std::chrono::steady_clock;

  Graph graph;
  Device device;
  StateStore& store;
  CompileOptions options;
  std::shared_ptr<Stream> stream;              // its own, or a chain's
  std::unique_ptr<Stream> branch;              // the second one, where steps run on it
  std::vector<std::unique_ptr<Fence>> fences;  // between the two in the last run, kept until that has ended
  std::vector<Step> steps;
  // Per step, the values its operands are; -1 for a prepared copy (pointer fixed) or an absent operand.
  std::vector<std::vector<int>> input_values;
  std::vector<std::vector<int>> output_values;
  std::vector<int> step_slot;  // workspace slot of each step, or -1
  std::vector<Placement> placements;
  std::vector<std::vector<int>> scratch_slots;  // per step and input: slot of a reordered non-state input, or -1
  std::vector<Lifetime> lifetimes;
  std::vector<PreparedUse> prepared;
  std::vector<std::shared_ptr<State>> read;
  std::vector<std::shared_ptr<State>> written;
  std::vector<NamedValue> copies_at_end;            // state writes that cannot go straight into the state's memory
  std::vector<std::pair<Operand, Operand>> saved;   // before the first step: old contents that are wanted afterwards
  std::vector<std::pair<Operand, Operand>> copied;  // behind the last: outputs that would otherwise alias a state
  std::map<std::size_t, std::unique_ptr<WrittenCopies>> written_copies;  // by step, where its kernel has a CopyDuty
  Buffer refresh_workspace;
  int compiled_threads = threads();
  std::unique_ptr<Recording> recording;          // of all steps, on the pointers that they have now
  std::unique_ptr<Recording> refresh_recording;  // of bringing every prepared copy up to date
  std::vector<std::unique_ptr<Mark>> marks;      // in front of the first step and behind each, of a run that is timed
  double marks_start = 0;
  int resolved = 0;         // how often pointers were: recordings made before hold others
  bool ran_before = false;  // the first run is never recorded: kernels may load code in it
  Clock::time_point run_start;
  Buffer arena;
  ArenaPlan plan;
  ProgramMemory memory;
  std::map<std::string, int> applied;
  bool only_planned = false;  // nothing is allocated, and there are no states
  std::map<std::pair<std::string, std::string>, std::size_t> copies_needed;  // of a program that is only planned

  Impl(Graph source, Device target, StateStore& states, CompileOptions choices)
      : graph(std::move(source)), device(target), store(states), options(std::move(choices)) {}

  void compile();
  void plan_program();
  bool can_write_in_place(const NamedValue& write, std::vector<std::pair<int, int>>& before) const;
  void order_nodes();
  std::shared_ptr<State> state_named(const std::string& name);
  Tensor room_for(const TensorDesc& desc) const;
  void place_fixed();
  void place_output(Value value);
  Operand copy_source(Value value);
  void make_steps();
  void add_node_step(int node, const std::vector<std::vector<int>>& users, const std::set<int>& kept);
  void choose_branch();
  bool can_run_beside(std::size_t step, const std::vector<std::vector<int>>& users) const;
  std::vector<int> last_uses() const;
  void make_slots();
  void allocate();
  void resolve_pointers();
  void* address(int value) const;
  Call call_of(const PreparedUse& use);
  void place_prepared();
  void find_written_copies();
  void choose_written_copies();
  void queue_refresh(const std::function<bool(const PreparedUse&)>& wanted);
  void refresh_prepared(bool recorded);
  void queue_all(RunTimes* times);
  bool may_record() const;
  void begin_marks();
  void read_marks(RunTimes& times);
  void check_ready();
  void run(RunTimes* times, bool recorded = true);
  void queue_in_branches();
  void run_step(std::size_t index, RunTimes::Span* span);
  Call call_of(const Step& step, Stream& on) const;
  double seconds_since_start() const { return std::chrono::duration<double>(Clock::now() - run_start).count(); }
};

}  // namespace dermatome

// Compiling a graph: passes, kernels, memory, and running the result.
#include "engine/compile/program.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "engine/compile/debug.h"
#include "engine/compile/pass.h"
#include "engine/compile/planner.h"
#include "engine/core/error.h"
#include "engine/core/threads.h"

namespace dermatome {
namespace {

std::size_t at(Value value) {
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

KernelRequest request_of(const Graph& graph, const Node& node, const std::vector<std::vector<int>>& users,
                         const std::set<int>& kept, Device device, const CompileOptions& options) {
  KernelRequest request{.op = node.op[0],
                        .attributes = node.attributes,
                        .inputs = {},
                        .input_present = {},
                        .outputs = graph.output_descs(node),
                        .output_used = {},
                        .type = DType::f32,
                        .device = device,
                        .deterministic = options.deterministic,
                        .tf32 = options.tf32,
                        .disabled = options.disabled_kernels};
  for (const Value input : node.inputs) {
    request.inputs.push_back(input ? graph.desc(input) : TensorDesc{});
    request.input_present.push_back(static_cast<bool>(input));
  }
  for (const Value output : node.outputs)
    request.output_used.push_back(!users[at(output)].empty() || kept.contains(output.id));
  request.type = node.op->compute_type(graph.call_of(node), request.outputs);
  return request;
}

std::set<int> kept_values(const Graph& graph) {
  std::set<int> kept;
  for (const auto& entry : graph.outputs()) kept.insert(entry.value.id);
  for (const auto& entry : graph.state_writes()) kept.insert(entry.value.id);
  return kept;
}

// Nodes that need the results of `node`, directly or not.
std::vector<bool> descendants(const Graph& graph, int node) {
  std::vector<bool> reached(graph.nodes().size(), false);
  std::vector<bool> value_reached(graph.values().size(), false);
  reached[static_cast<std::size_t>(node)] = true;
  for (std::size_t n = static_cast<std::size_t>(node); n < graph.nodes().size(); ++n) {
    for (const Value input : graph.nodes()[n].inputs) {
      if (input && value_reached[at(input)]) reached[n] = true;
    }
    if (!reached[n]) continue;
    for (const Value output : graph.nodes()[n].outputs) value_reached[at(output)] = true;
  }
  return reached;
}

// Copies one tensor to another in the device's memory; state writes whose value cannot be computed in place.
class CopyKernel final : public Kernel {
 public:
  CopyKernel(Device device, std::size_t bytes) : backend_(backend_of(device.kind)), bytes_(bytes) {}
  void run(const Call& call) override {
    backend_.copy(call.outputs[0].data, call.inputs[0].data, bytes_, *call.stream);
  }
  std::string describe() const override { return "copy"; }

 private:
  Backend& backend_;
  std::size_t bytes_;
};

// A state's prepared copy as one program uses it.
struct PreparedUse {
  std::shared_ptr<State> state;
  std::shared_ptr<PreparedCopy> copy;
  std::shared_ptr<Kernel> reorder;
  Operand from = {};
  Operand to = {};
};

}  // namespace

struct Program::Impl {
  using Clock = std::chrono::steady_clock;

  Graph graph;
  Device device;
  StateStore& store;
  CompileOptions options;
  std::unique_ptr<Stream> stream;
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
  Buffer refresh_workspace;
  std::map<Kernel::RunTogether, std::vector<Call>> reorder_groups;
  int compiled_threads = threads();
  std::unique_ptr<Recording> recording;          // of all steps, on the pointers that they have now
  std::unique_ptr<Recording> refresh_recording;  // of bringing every prepared copy up to date
  std::vector<std::unique_ptr<Mark>> marks;      // in front of the first step and behind each, of a run that is timed
  double marks_start = 0;
  bool ran_before = false;  // the first run is never recorded: kernels may load code in it
  Clock::time_point run_start;
  Buffer arena;
  ArenaPlan plan;
  ProgramMemory memory;
  std::map<std::string, int> applied;

  Impl(Graph source, Device target, StateStore& states, CompileOptions choices)
      : graph(std::move(source)), device(target), store(states), options(std::move(choices)) {}

  void compile();
  bool can_write_in_place(const NamedValue& write, std::vector<std::pair<int, int>>& before) const;
  void order_nodes();
  void place_fixed();
  void place_output(Value value);
  Operand copy_source(Value value);
  void make_steps();
  void add_node_step(int node, const std::vector<std::vector<int>>& users, const std::set<int>& kept);
  void make_slots();
  void allocate();
  void resolve_pointers();
  void* address(int value) const;
  Call call_of(const PreparedUse& use);
  void group_reorders();
  void queue_refresh();
  void refresh_prepared();
  void queue_all(RunTimes* times);
  bool may_record() const;
  void begin_marks();
  void read_marks(RunTimes& times);
  void run(RunTimes* times);
  void run_step(std::size_t index, RunTimes::Span* span);
  double seconds_since_start() const { return std::chrono::duration<double>(Clock::now() - run_start).count(); }
};

// A state may be overwritten where it lies when the node that makes its next value either does not read it or may work
// in place, and every other reader can run earlier.
bool Program::Impl::can_write_in_place(const NamedValue& write, std::vector<std::pair<int, int>>& before) const {
  const int producer = graph.info(write.value).producer;
  if (producer < 0) return false;
  const Node& node = graph.nodes()[static_cast<std::size_t>(producer)];
  const Value old = graph.state(write.name);
  const auto allowed = node.op->in_place(graph.call_of(node));
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i] != old) continue;
    const bool ok = std::any_of(allowed.begin(), allowed.end(), [&](const InPlace& pair) {
      return pair.input == static_cast<int>(i) && pair.output == graph.info(write.value).output;
    });
    if (!ok) return false;
  }
  const auto later = descendants(graph, producer);
  std::vector<std::pair<int, int>> edges;
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    if (static_cast<int>(n) == producer) continue;
    const auto& inputs = graph.nodes()[n].inputs;
    if (std::find(inputs.begin(), inputs.end(), old) == inputs.end()) continue;
    if (later[n]) return false;
    edges.emplace_back(static_cast<int>(n), producer);
  }
  before.insert(before.end(), edges.begin(), edges.end());
  return true;
}

// Each write asks for its readers to run first; one whose wish contradicts those before it is computed aside and
// copied.
void Program::Impl::order_nodes() {
  std::vector<std::pair<int, int>> before;
  std::set<int> taken;
  for (const auto& write : graph.state_writes()) {
    auto tried = before;
    const bool possible = !taken.contains(write.value.id) && can_write_in_place(write, tried) &&
                          (tried.size() == before.size() || Graph(graph).sort_topologically(tried));
    if (!possible) {
      copies_at_end.push_back(write);
      continue;
    }
    taken.insert(write.value.id);
    before = std::move(tried);
  }
  DERMATOME_CHECK(graph.sort_topologically(before), "the graph has a cycle");
}

void Program::Impl::place_fixed() {
  placements.resize(graph.values().size());
  for (const auto& entry : graph.inputs()) placements[at(entry.value)] = {Storage::input, Tensor{}};
  for (const auto& declaration : graph.states()) {
    const auto state = store.share(declaration.name);
    DERMATOME_CHECK(state->tensor.desc() == declaration.desc, "state '{}' is {} but the graph needs {}",
                    declaration.name, to_string(state->tensor.desc()), to_string(declaration.desc));
    placements[at(graph.state(declaration.name))] = {Storage::state, state->tensor};
    read.push_back(state);
  }
  for (const auto& write : graph.state_writes()) {
    const auto state = store.share(write.name);
    written.push_back(state);
    const bool copied_later = std::any_of(copies_at_end.begin(), copies_at_end.end(),
                                          [&](const NamedValue& entry) { return entry.name == write.name; });
    if (!copied_later) placements[at(write.value)] = {Storage::state, state->tensor};
  }
  for (const auto& entry : graph.outputs()) place_output(entry.value);
}

// An output never shares memory with a state: the caller keeps it while later programs write the state.
void Program::Impl::place_output(Value value) {
  Placement& placement = placements[at(value)];
  if (placement.storage == Storage::none) {
    placement = {Storage::output, Tensor(graph.desc(value), device)};
  } else if (placement.storage == Storage::state && !placement.output.defined()) {
    placement.output = Tensor(graph.desc(value), device);
    const TensorDesc& desc = graph.desc(value);
    const bool old_contents = !graph.info(value).state.empty();
    (old_contents ? saved : copied)
        .emplace_back(operand_of(desc, placement.tensor.data()), operand_of(desc, placement.output.data()));
  }
}

void Program::Impl::add_node_step(int index, const std::vector<std::vector<int>>& users, const std::set<int>& kept) {
  const Node& node = graph.nodes()[static_cast<std::size_t>(index)];
  const KernelRequest request = request_of(graph, node, users, kept, device, options);
  Step step{.node = index, .name = node.name, .kernel = {}, .inputs = {}, .outputs = {}};
  try {
    const bool chosen = has_implementation(request.op.name(), device, options.implementation);
    step.kernel = make_kernel(request, chosen ? options.implementation : "");
  } catch (const Error& error) {
    const std::string where = to_string(node.at);
    fail("{}{}: {}", where.empty() ? "" : where + ": ", node.name, error.what());
  }
  std::vector<int> inputs;
  for (const Value input : node.inputs) inputs.push_back(input.id);
  std::vector<int> outputs;
  for (std::size_t i = 0; i < node.outputs.size(); ++i)
    outputs.push_back(request.output_used[i] ? node.outputs[i].id : -1);
  for (std::size_t i = 0; i < request.inputs.size(); ++i) step.inputs.push_back(operand_of(request.inputs[i], nullptr));
  for (const auto& desc : request.outputs) step.outputs.push_back(operand_of(desc, nullptr));

  std::vector<int> scratch(inputs.size(), -1);
  for (PreparedInput& wanted : step.kernel->take_prepared_inputs()) {
    const auto i = static_cast<std::size_t>(wanted.input);
    const Value value = node.inputs[i];
    if (placements[at(value)].storage == Storage::state && !graph.info(value).state.empty()) {
      const std::string& name = graph.info(value).state;
      auto copy = store.prepared(name, wanted.layout, wanted.bytes);
      step.inputs[i].data = copy->buffer.data();
      prepared.push_back({store.share(name), std::move(copy), std::move(wanted.reorder)});
      inputs[i] = -1;
      continue;
    }
    // No state: a step of its own reorders it into arena memory right before.
    const int slot = static_cast<int>(lifetimes.size());
    const int here = static_cast<int>(steps.size());
    lifetimes.push_back({.bytes = wanted.bytes, .first = here, .last = here + 1});
    Step reorder{.node = -1,
                 .name = "reorder for " + node.name,
                 .kernel = std::move(wanted.reorder),
                 .inputs = {},
                 .outputs = {}};
    reorder.inputs.push_back(step.inputs[i]);
    reorder.outputs.push_back(step.inputs[i]);
    steps.push_back(std::move(reorder));
    input_values.push_back({value.id});
    output_values.push_back({-1});
    scratch_slots.push_back({slot});  // of the output
    inputs[i] = -1;
    scratch[i] = slot;
  }
  for (const int slot : scratch) {
    if (slot >= 0) lifetimes[static_cast<std::size_t>(slot)].last = static_cast<int>(steps.size());
  }
  steps.push_back(std::move(step));
  input_values.push_back(std::move(inputs));
  output_values.push_back(std::move(outputs));
  scratch_slots.push_back(std::move(scratch));
}

// What a copy at the end reads: old contents of a state that this program overwrites are saved first.
Operand Program::Impl::copy_source(Value value) {
  const TensorDesc& desc = graph.desc(value);
  const std::string& state = graph.info(value).state;
  const auto& writes = graph.state_writes();
  if (state.empty() ||
      std::none_of(writes.begin(), writes.end(), [&](const NamedValue& w) { return w.name == state; })) {
    return operand_of(desc, nullptr);
  }
  Placement& placement = placements[at(value)];
  if (!placement.output.defined()) {
    placement.output = Tensor(desc, device);
    saved.emplace_back(operand_of(desc, placement.tensor.data()), operand_of(desc, placement.output.data()));
  }
  return operand_of(desc, placement.output.data());
}

void Program::Impl::make_steps() {
  const auto users = graph.users();
  const auto kept = kept_values(graph);
  for (int n = 0; n < static_cast<int>(graph.nodes().size()); ++n) add_node_step(n, users, kept);
  for (const auto& write : copies_at_end) {
    const TensorDesc& desc = graph.desc(write.value);
    const Operand source = copy_source(write.value);
    steps.push_back({.node = -1,
                     .name = "copy to " + write.name,
                     .kernel = std::make_unique<CopyKernel>(device, desc.bytes()),
                     .inputs = {source},
                     .outputs = {operand_of(desc, store.get(write.name).tensor.data())}});
    input_values.push_back({source.data != nullptr ? -1 : write.value.id});
    output_values.push_back({-1});
    scratch_slots.push_back({-1});
  }
}

// Gives every value that has no fixed place a slot with its lifetime; an output may take over a dying input's slot.
void Program::Impl::make_slots() {
  std::vector<int> last_use(graph.values().size(), -1);
  for (std::size_t s = 0; s < steps.size(); ++s) {
    for (const int value : input_values[s]) {
      if (value >= 0) last_use[static_cast<std::size_t>(value)] = static_cast<int>(s);
    }
  }
  step_slot.assign(steps.size(), -1);
  for (std::size_t s = 0; s < steps.size(); ++s) {
    const Step& step = steps[s];
    const int here = static_cast<int>(s);
    std::set<int> reused;
    for (std::size_t o = 0; o < output_values[s].size(); ++o) {
      const int value = output_values[s][o];
      if (value < 0 || placements[static_cast<std::size_t>(value)].storage != Storage::none) continue;
      Placement& placement = placements[static_cast<std::size_t>(value)];
      placement.storage = Storage::arena;
      const int last = std::max(here, last_use[static_cast<std::size_t>(value)]);
      const std::size_t bytes = graph.values()[static_cast<std::size_t>(value)].desc.bytes();
      const Node& node = graph.nodes()[static_cast<std::size_t>(step.node)];
      for (const InPlace& pair : options.planner ? node.op->in_place(graph.call_of(node)) : std::vector<InPlace>{}) {
        if (pair.output != static_cast<int>(o)) continue;
        const int input = static_cast<std::size_t>(pair.input) < input_values[s].size()
                              ? input_values[s][static_cast<std::size_t>(pair.input)]
                              : -1;
        if (input < 0 || placements[static_cast<std::size_t>(input)].storage != Storage::arena) continue;
        const int slot = placements[static_cast<std::size_t>(input)].slot;
        const bool dies = last_use[static_cast<std::size_t>(input)] == here;
        const auto uses = std::count(input_values[s].begin(), input_values[s].end(), input);
        if (!dies || uses != 1 || reused.contains(slot) || lifetimes[static_cast<std::size_t>(slot)].bytes < bytes)
          continue;
        placement.slot = slot;
        reused.insert(slot);
        lifetimes[static_cast<std::size_t>(slot)].last = last;
        break;
      }
      if (placement.slot < 0) {
        placement.slot = static_cast<int>(lifetimes.size());
        lifetimes.push_back({.bytes = bytes, .first = here, .last = last});
      }
    }
    if (const std::size_t workspace = step.kernel->workspace_bytes(); workspace > 0) {
      step_slot[s] = static_cast<int>(lifetimes.size());
      lifetimes.push_back({.bytes = workspace, .first = here, .last = here});
    }
  }
}

void Program::Impl::allocate() {
  plan = plan_arena(lifetimes, options.planner);
  memory.arena = plan.bytes;
  memory.arena_lower_bound = plan.lower_bound;
  for (const auto& placement : placements) {
    if (placement.storage == Storage::output) memory.inputs_and_outputs += placement.tensor.bytes();
  }
  for (const auto& entry : graph.inputs()) memory.inputs_and_outputs += graph.desc(entry.value).bytes();
  const std::size_t available = backend_of(device.kind).available_bytes(device.index);
  if (plan.bytes > available) throw OutOfMemory(plan.bytes, available);
  arena = Buffer(device, plan.bytes);
}

void* Program::Impl::address(int value) const {
  const Placement& placement = placements[static_cast<std::size_t>(value)];
  if (placement.storage == Storage::arena) return arena.data() + plan.offsets[static_cast<std::size_t>(placement.slot)];
  return placement.tensor.data();
}

void Program::Impl::resolve_pointers() {
  recording.reset();
  const auto slot_address = [&](int slot) { return arena.data() + plan.offsets[static_cast<std::size_t>(slot)]; };
  for (std::size_t s = 0; s < steps.size(); ++s) {
    Step& step = steps[s];
    for (std::size_t i = 0; i < step.inputs.size(); ++i) {
      if (input_values[s][i] >= 0) step.inputs[i].data = address(input_values[s][i]);
    }
    for (std::size_t o = 0; o < step.outputs.size(); ++o) {
      if (output_values[s][o] >= 0) step.outputs[o].data = address(output_values[s][o]);
    }
    const bool is_reorder = step.node < 0;
    for (std::size_t i = 0; i < scratch_slots[s].size(); ++i) {
      if (scratch_slots[s][i] < 0) continue;
      (is_reorder ? step.outputs[0] : step.inputs[i]).data = slot_address(scratch_slots[s][i]);
    }
    step.workspace = step_slot[s] >= 0 ? slot_address(step_slot[s]) : nullptr;
  }
}

void Program::Impl::compile() {
  run_passes(graph, options, &applied, device);
  DERMATOME_CHECK(store.device() == device, "a program on {} cannot use states on {}", to_string(device),
                  to_string(store.device()));
  stream = backend_of(device.kind).make_stream(device.index);
  order_nodes();
  place_fixed();
  make_steps();
  make_slots();
  allocate();
  resolve_pointers();
  group_reorders();
}

Call Program::Impl::call_of(const PreparedUse& use) {
  return {.inputs = &use.from,
          .outputs = &use.to,
          .input_count = 1,
          .output_count = 1,
          .attributes = nullptr,
          .workspace = refresh_workspace.data(),
          .stream = stream.get()};
}

// Each copy once, however many kernels read it; reorders that can run together do, where all are asked for.
void Program::Impl::group_reorders() {
  std::set<const PreparedCopy*> seen;
  std::erase_if(prepared, [&](const PreparedUse& use) { return !seen.insert(use.copy.get()).second; });
  std::size_t workspace = 0;
  for (PreparedUse& use : prepared) {
    const TensorDesc& desc = use.state->tensor.desc();
    use.from = operand_of(desc, use.state->tensor.data());
    use.to = operand_of(desc, use.copy->buffer.data());
    workspace = std::max(workspace, use.reorder->workspace_bytes());
  }
  if (workspace > 0) refresh_workspace = Buffer(device, workspace);
  for (const PreparedUse& use : prepared) {
    if (const auto run = use.reorder->together(); run != nullptr) reorder_groups[run].push_back(call_of(use));
  }
}

void Program::Impl::queue_refresh() {
  for (const PreparedUse& use : prepared) {
    if (use.reorder->together() == nullptr) use.reorder->run(call_of(use));
  }
  for (const auto& [run, calls] : reorder_groups) run(calls);
}

// After an update every copy is stale: then all are brought up to date by one replay, where the device records.
void Program::Impl::refresh_prepared() {
  const auto stale = [](const PreparedUse& use) { return use.copy->version != use.state->version; };
  if (std::none_of(prepared.begin(), prepared.end(), stale)) return;
  const bool all = std::all_of(prepared.begin(), prepared.end(), stale);
  if (all && may_record() && refresh_recording == nullptr) {
    refresh_recording = stream->record([this] { queue_refresh(); });
  }
  if (all && may_record() && refresh_recording != nullptr) {
    refresh_recording->replay(*stream);
  } else if (all) {
    queue_refresh();
  } else {
    for (const PreparedUse& use : prepared) {
      if (stale(use)) use.reorder->run(call_of(use));
    }
  }
  for (const PreparedUse& use : prepared) use.copy->version = use.state->version;
}

// What looks at single steps needs them one by one.
bool Program::Impl::may_record() const {
  return options.capture && ran_before && !options.trace_nodes && !options.verify_nodes && options.dump_tensors.empty();
}

// A device that runs behind the host's back is timed by marks between the steps, without waiting for any.
void Program::Impl::begin_marks() {
  marks.clear();
  if (auto first = stream->mark(); first != nullptr) marks.push_back(std::move(first));
  marks_start = seconds_since_start();
}

void Program::Impl::read_marks(RunTimes& times) {
  if (marks.empty()) return;
  for (std::size_t s = 0; s + 1 < marks.size(); ++s) {
    times.steps[s] = {.start = marks_start + marks[s]->seconds_since(*marks[0]),
                      .seconds = marks[s + 1]->seconds_since(*marks[s])};
  }
  marks.clear();
}

// All that one run queues behind the refreshed copies.
void Program::Impl::queue_all(RunTimes* times) {
  Backend& backend = backend_of(device.kind);
  if (options.poison_arena) backend.fill_bytes(arena.data(), 0xff, arena.bytes(), *stream);
  const auto copy_all = [&](const std::vector<std::pair<Operand, Operand>>& copies) {
    for (const auto& [from, to] : copies) {
      backend.copy(to.data, from.data, static_cast<std::size_t>(from.elements) * size_of(from.type), *stream);
    }
  };
  copy_all(saved);
  if (times != nullptr) begin_marks();
  for (std::size_t s = 0; s < steps.size(); ++s) run_step(s, times != nullptr ? &times->steps[s] : nullptr);
  copy_all(copied);
}

void Program::Impl::run_step(std::size_t index, RunTimes::Span* span) {
  Step& step = steps[index];
  std::vector<Tensor> before;
  const bool verify = options.verify_nodes && step.node >= 0;
  if (verify) {
    const Node& node = graph.nodes()[static_cast<std::size_t>(step.node)];
    for (const Value input : node.inputs) {
      before.push_back(input ? host_copy(operand_of(graph.desc(input), address(input.id)), device) : Tensor{});
    }
  }
  const bool by_marks = span != nullptr && !marks.empty();
  const bool timed = (span != nullptr && !by_marks) || options.trace_nodes;
  const double start = timed ? seconds_since_start() : 0;
  const AttributeValue* attributes =
      step.node >= 0 ? graph.nodes()[static_cast<std::size_t>(step.node)].attributes.values().data() : nullptr;
  step.kernel->run({.inputs = step.inputs.data(),
                    .outputs = step.outputs.data(),
                    .input_count = static_cast<int>(step.inputs.size()),
                    .output_count = static_cast<int>(step.outputs.size()),
                    .attributes = attributes,
                    .workspace = step.workspace,
                    .stream = stream.get()});
  if (timed) {
    stream->synchronize();
    const double elapsed = seconds_since_start() - start;
    if (span != nullptr) *span = {.start = start, .seconds = elapsed};
    if (options.trace_nodes) trace_step(static_cast<int>(index), step, device, elapsed);
  }
  if (by_marks) marks.push_back(stream->mark());
  if (!options.dump_tensors.empty()) dump_step(options.dump_tensors, static_cast<int>(index), step, device);
  if (verify) verify_step(graph.nodes()[static_cast<std::size_t>(step.node)], step, before, device);
}

void Program::Impl::run(RunTimes* times) {
  run_start = Clock::now();
  for (const auto& entry : graph.inputs()) {
    DERMATOME_CHECK(placements[at(entry.value)].tensor.defined(), "input '{}' was never set", entry.name);
  }
  for (const auto& state : read) {
    DERMATOME_CHECK(!state->removed, "state '{}' was removed after this program was compiled", state->name);
  }
  DERMATOME_CHECK(threads() == compiled_threads, "this program was compiled for {} threads and cannot run on {}",
                  compiled_threads, threads());
  const double refresh_start = times != nullptr ? seconds_since_start() : 0;
  refresh_prepared();
  if (times != nullptr) {
    stream->synchronize();
    times->prepared = {.start = refresh_start, .seconds = seconds_since_start() - refresh_start};
  }
  for (const auto& state : written) ++state->version;  // now: a kernel that throws leaves no copy that seems fresh
  if (times == nullptr && may_record()) {
    if (recording == nullptr) recording = stream->record([this] { queue_all(nullptr); });
  }
  if (times == nullptr && recording != nullptr) {
    recording->replay(*stream);
  } else {
    queue_all(times);
  }
  stream->synchronize();
  if (times != nullptr) read_marks(*times);
  ran_before = true;
  if (times != nullptr) times->total = seconds_since_start();
}

Program::Program(Graph graph, Device device, StateStore& store, const CompileOptions& options)
    : impl_(std::make_unique<Impl>(std::move(graph), device, store, options)) {
  impl_->compile();
}

Program::~Program() = default;
Program::Program(Program&&) noexcept = default;

Tensor Program::input(std::string_view name) {
  const Value value = impl_->graph.input(name);
  if (!impl_->placements[at(value)].tensor.defined()) bind(name, Tensor(impl_->graph.desc(value), impl_->device));
  return impl_->placements[at(value)].tensor;
}

void Program::bind(std::string_view name, const Tensor& tensor) {
  Placement& placement = impl_->placements[at(impl_->graph.input(name))];
  const TensorDesc& desc = impl_->graph.desc(impl_->graph.input(name));
  DERMATOME_CHECK(tensor.desc() == desc && tensor.to(impl_->device).data() == tensor.data(),
                  "input '{}' is {} on {} and cannot be bound to {} on {}", name, to_string(desc),
                  to_string(impl_->device), to_string(tensor.desc()), to_string(tensor.device()));
  const bool elsewhere = placement.tensor.data() != tensor.data();
  placement.tensor = tensor;
  if (elsewhere) impl_->resolve_pointers();
}

Tensor Program::output(std::string_view name) const {
  const Placement& placement = impl_->placements[at(impl_->graph.output(name))];
  return placement.output.defined() ? placement.output : placement.tensor;
}

void Program::run() {
  impl_->run(nullptr);
}

RunTimes Program::run_timed() {
  RunTimes times;
  times.steps.resize(impl_->steps.size());
  impl_->run(&times);
  return times;
}

void Program::run_step(std::size_t index) {
  impl_->run_step(index, nullptr);
  impl_->stream->synchronize();
}

const Graph& Program::graph() const {
  return impl_->graph;
}
const std::vector<Step>& Program::steps() const {
  return impl_->steps;
}
const ProgramMemory& Program::memory() const {
  return impl_->memory;
}
const std::map<std::string, int>& Program::applied_passes() const {
  return impl_->applied;
}
Device Program::device() const {
  return impl_->device;
}

}  // namespace dermatome

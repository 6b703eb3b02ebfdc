// Compiling a graph: passes, kernels, memory.
#include <algorithm>

#include "engine/compile/pass.h"
#include "engine/compile/program_impl.h"
#include "engine/core/error.h"

namespace dermatome {
namespace {

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

// The copy's own ways to be made of its state, without the program that asked for it.
void let_writers_make(const PreparedUse& use) {
  const auto call_with = [from = use.from, to = use.to](const auto& run) {
    run(Call{.inputs = &from,
             .outputs = &to,
             .input_count = 1,
             .output_count = 1,
             .attributes = nullptr,
             .workspace = nullptr,
             .stream = nullptr});
  };
  use.copy->write_all = [call_with, reorder = use.reorder] {
    call_with([&](const Call& call) { reorder->run(call); });
  };
  use.copy->rows_at_a_time = use.reorder->rows_at_a_time();
  use.copy->write_rows = [call_with, reorder = use.reorder](std::int64_t first, std::int64_t count) {
    call_with([&](const Call& call) { reorder->run_rows(call, first, count); });
  };
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

}  // namespace

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

std::shared_ptr<State> Program::Impl::state_named(const std::string& name) {
  if (!only_planned) return store.share(name);
  return std::make_shared<State>(State{.name = name, .tensor = {}, .group = {}, .trainable = false, .prepared = {}});
}

Tensor Program::Impl::room_for(const TensorDesc& desc) const {
  return only_planned ? Tensor() : Tensor(desc, device);
}

void Program::Impl::place_fixed() {
  placements.resize(graph.values().size());
  for (const auto& entry : graph.inputs()) placements[at(entry.value)] = {Storage::input, Tensor{}};
  for (const auto& declaration : graph.states()) {
    const auto state = state_named(declaration.name);
    DERMATOME_CHECK(only_planned || state->tensor.desc() == declaration.desc, "state '{}' is {} but the graph needs {}",
                    declaration.name, to_string(state->tensor.desc()), to_string(declaration.desc));
    placements[at(graph.state(declaration.name))] = {Storage::state, state->tensor};
    read.push_back(state);
  }
  for (const auto& write : graph.state_writes()) {
    const auto state = state_named(write.name);
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
    placement = {Storage::output, room_for(graph.desc(value))};
  } else if (placement.storage == Storage::state && !placement.output.defined()) {
    const TensorDesc& desc = graph.desc(value);
    placement.output = room_for(desc);
    const bool old_contents = !graph.info(value).state.empty();
    (old_contents ? saved : copied)
        .emplace_back(operand_of(desc, placement.tensor.data()), operand_of(desc, placement.output.data()));
  }
}

void Program::Impl::add_node_step(int index, const std::vector<std::vector<int>>& users, const std::set<int>& kept) {
  const Node& node = graph.nodes()[static_cast<std::size_t>(index)];
  std::vector<bool> used;
  for (const Value output : node.outputs) used.push_back(!users[at(output)].empty() || kept.contains(output.id));
  const KernelRequest request = request_of(graph, node, std::move(used), device, options);
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
      inputs[i] = -1;
      if (only_planned) {
        copies_needed[{name, wanted.layout}] = wanted.bytes;
        continue;
      }
      auto copy = store.prepared(name, wanted.layout, wanted.bytes);
      step.inputs[i].data = copy->buffer.data();
      copy->channels_last = wanted.channels_last;
      prepared.push_back({store.share(name), std::move(copy), std::move(wanted.reorder)});
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
    placement.output = room_for(desc);
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
                     .outputs = {operand_of(desc, state_named(write.name)->tensor.data())}});
    input_values.push_back({source.data != nullptr ? -1 : write.value.id});
    output_values.push_back({-1});
    scratch_slots.push_back({-1});
  }
}

// Whether a step reads nothing that later steps may overwrite but what the planner can keep, and nobody reads its
// results in this program.
bool Program::Impl::can_run_beside(std::size_t index, const std::vector<std::vector<int>>& users) const {
  const Step& step = steps[index];
  if (step.node < 0 || step.kernel->copy_duty() != CopyDuty::none) return false;
  const Node& node = graph.nodes()[static_cast<std::size_t>(step.node)];
  std::vector<TensorDesc> outputs;
  for (const Value output : node.outputs) outputs.push_back(graph.desc(output));
  if (node.op->cost(graph.call_of(node), outputs).flops <= 0) return false;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Value input = node.inputs[i];
    if (!input) continue;
    const Storage storage = placements[at(input)].storage;
    if (storage == Storage::state || storage == Storage::output || scratch_slots[index][i] >= 0) return false;
  }
  const auto is_copied = [&](Value value) {
    return std::any_of(copies_at_end.begin(), copies_at_end.end(),
                       [&](const NamedValue& write) { return write.value == value; });
  };
  return std::none_of(node.outputs.begin(), node.outputs.end(),
                      [&](Value output) { return !users[at(output)].empty() || is_copied(output); });
}

// Steps that nobody waits for go to the second branch, and have this many of the others' time to finish in: what they
// read is kept so long.
constexpr int kStepsBeside = 4;

void Program::Impl::choose_branch() {
  if (!options.second_branch || device.kind != DeviceKind::cuda) return;
  const auto users = graph.users();
  for (std::size_t s = 0; s < steps.size(); ++s) {
    if (can_run_beside(s, users)) steps[s].awaited = static_cast<int>(s) + kStepsBeside;
  }
  branch = backend_of(device.kind).make_stream(device.index);
}

// Per value the last step that needs it; -1: none reads it. Behind the last step where the second branch is awaited
// there.
std::vector<int> Program::Impl::last_uses() const {
  std::vector<int> last_use(graph.values().size(), -1);
  for (std::size_t s = 0; s < steps.size(); ++s) {
    for (const int value : input_values[s]) {
      if (value < 0) continue;
      int& last = last_use[static_cast<std::size_t>(value)];
      last = std::max({last, static_cast<int>(s), steps[s].awaited});
    }
  }
  return last_use;
}

// Gives every value that has no fixed place a slot with its lifetime; an output may take over a dying input's slot.
void Program::Impl::make_slots() {
  const std::vector<int> last_use = last_uses();
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
      const int last = std::max({here, step.awaited, last_use[static_cast<std::size_t>(value)]});
      const std::size_t bytes = graph.values()[static_cast<std::size_t>(value)].desc.bytes();
      const Node& node = graph.nodes()[static_cast<std::size_t>(step.node)];
      for (const InPlace& pair : options.planner ? node.op->in_place(graph.call_of(node)) : std::vector<InPlace>{}) {
        if (pair.output != static_cast<int>(o) || !step.kernel->works_in_place(pair.output, pair.input)) continue;
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
      lifetimes.push_back({.bytes = workspace, .first = here, .last = std::max(here, step.awaited)});
    }
  }
}

void Program::Impl::allocate() {
  // Memory of the host is granted in any case, and missing later.
  if (plan.bytes > backend_of(device.kind).available_bytes(device.index)) fail_out_of_memory(device, plan.bytes);
  arena = Buffer(device, plan.bytes);
}

void* Program::Impl::address(int value) const {
  const Placement& placement = placements[static_cast<std::size_t>(value)];
  if (placement.storage == Storage::arena) return arena.data() + plan.offsets[static_cast<std::size_t>(placement.slot)];
  return placement.tensor.data();
}

void Program::Impl::resolve_pointers() {
  recording.reset();
  ++resolved;
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

// All but memory: the steps with their kernels, and where everything will lie.
void Program::Impl::plan_program() {
  run_passes(graph, options, &applied, device);
  DERMATOME_CHECK(store.device() == device, "a program on {} cannot use states on {}", to_string(device),
                  to_string(store.device()));
  order_nodes();
  place_fixed();
  make_steps();
  choose_branch();
  make_slots();
  plan = plan_arena(lifetimes, options.planner);
  memory.arena = plan.bytes;
  memory.arena_lower_bound = plan.lower_bound;
  for (std::size_t v = 0; v < placements.size(); ++v) {
    const bool counts = placements[v].storage == Storage::output || placements[v].storage == Storage::input;
    if (counts) memory.inputs_and_outputs += graph.values()[v].desc.bytes();
  }
}

void Program::Impl::compile() {
  stream = backend_of(device.kind).make_stream(device.index);
  plan_program();
  allocate();
  resolve_pointers();
  place_prepared();
  find_written_copies();
}

// Each copy once, however many kernels read it.
void Program::Impl::place_prepared() {
  std::set<const PreparedCopy*> seen;
  std::erase_if(prepared, [&](const PreparedUse& use) { return !seen.insert(use.copy.get()).second; });
  std::size_t workspace = 0;
  for (PreparedUse& use : prepared) {
    const TensorDesc& desc = use.state->tensor.desc();
    use.from = operand_of(desc, use.state->tensor.data());
    use.to = operand_of(desc, use.copy->buffer.data());
    workspace = std::max(workspace, use.reorder->workspace_bytes());
    if (device.kind == DeviceKind::cpu && use.reorder->workspace_bytes() == 0) let_writers_make(use);
  }
  if (workspace > 0) refresh_workspace = Buffer(device, workspace);
}

// Which outputs of steps with a CopyDuty are states' memory.
void Program::Impl::find_written_copies() {
  if (!options.pass_enabled(kUpdateWritesCopies)) return;
  for (std::size_t s = 0; s < steps.size(); ++s) {
    const CopyDuty duty = steps[s].kernel->copy_duty();
    if (steps[s].node < 0 || duty == CopyDuty::none) continue;
    std::vector<std::shared_ptr<State>> states(steps[s].outputs.size());
    for (const auto& state : written) {
      for (std::size_t o = 0; o < states.size(); ++o) {
        if (steps[s].outputs[o].data == state->tensor.data()) states[o] = state;
      }
    }
    applied[kUpdateWritesCopies] += static_cast<int>(
        std::count_if(states.begin(), states.end(), [](const auto& state) { return state != nullptr; }));
    written_copies.emplace(s, std::make_unique<WrittenCopies>(std::move(states), duty));
  }
}

}  // namespace dermatome

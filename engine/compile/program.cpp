// Running a compiled graph.
#include <algorithm>
#include <limits>

#include "engine/compile/debug.h"
#include "engine/compile/program_impl.h"
#include "engine/core/error.h"

namespace dermatome {

Call Program::Impl::call_of(const PreparedUse& use) {
  return {.inputs = &use.from,
          .outputs = &use.to,
          .input_count = 1,
          .output_count = 1,
          .attributes = nullptr,
          .workspace = refresh_workspace.data(),
          .stream = stream.get()};
}

// Reorders that can run together do.
void Program::Impl::queue_refresh(const std::function<bool(const PreparedUse&)>& wanted) {
  std::map<Kernel::RunTogether, std::vector<Call>> together;
  for (const PreparedUse& use : prepared) {
    if (!wanted(use)) continue;
    if (const auto run = use.reorder->together(); run != nullptr) {
      together[run].push_back(call_of(use));
    } else {
      use.reorder->run(call_of(use));
    }
  }
  for (const auto& [run, calls] : together) run(calls);
}

// After an update that writes no copies all are stale: then they are brought up to date by one replay, where the device
// records.
void Program::Impl::refresh_prepared(bool recorded) {
  const auto stale = [](const PreparedUse& use) { return !use.is_fresh(); };
  for (const PreparedUse& use : prepared) use.copy->read = use.state->version;
  if (std::none_of(prepared.begin(), prepared.end(), stale)) return;
  const bool all = std::all_of(prepared.begin(), prepared.end(), stale);
  recorded = recorded && may_record();
  if (all && recorded && refresh_recording == nullptr) {
    refresh_recording = stream->record([this] { queue_refresh([](const PreparedUse&) { return true; }); });
  }
  if (all && recorded && refresh_recording != nullptr) {
    refresh_recording->replay(*stream);
  } else {
    queue_refresh(stale);
  }
  for (const PreparedUse& use : prepared) use.copy->version = use.state->version;
}

// Recordings that were made before hold no copy that is new to them.
void Program::Impl::choose_written_copies() {
  bool grown = false;
  for (const auto& [step, copies] : written_copies) grown = copies->choose() || grown;
  if (!grown) return;
  recording.reset();
  ++resolved;
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
  const bool one_by_one =
      times != nullptr || options.trace_nodes || options.verify_nodes || !options.dump_tensors.empty();
  if (branch != nullptr && !one_by_one) {
    queue_in_branches();
  } else {
    for (std::size_t s = 0; s < steps.size(); ++s) run_step(s, times != nullptr ? &times->steps[s] : nullptr);
  }
  copy_all(copied);
}

// A step of the second branch runs behind what is queued when its turn comes; the first branch waits for it in front of
// the step that it is awaited by, or at the end.
void Program::Impl::queue_in_branches() {
  std::multimap<int, const Fence*> awaited;
  const auto fence_on = [&](Stream& queue) {
    fences.push_back(queue.fence());
    return fences.back().get();
  };
  const auto wait_until = [&](int index) {
    while (!awaited.empty() && awaited.begin()->first <= index) {
      if (awaited.begin()->second != nullptr) stream->wait_for(*awaited.begin()->second);
      awaited.erase(awaited.begin());
    }
  };
  for (std::size_t s = 0; s < steps.size(); ++s) {
    wait_until(static_cast<int>(s));
    Step& step = steps[s];
    if (step.awaited < 0) {
      run_step(s, nullptr);
      continue;
    }
    if (const Fence* before = fence_on(*stream); before != nullptr) branch->wait_for(*before);
    branch->submit([this, &step] {
      const NamedRange range(backend_of(device.kind), step.name);
      step.kernel->run(call_of(step, *branch));
    });
    awaited.emplace(step.awaited, fence_on(*branch));
  }
  wait_until(std::numeric_limits<int>::max());
}

Call Program::Impl::call_of(const Step& step, Stream& on) const {
  return {.inputs = step.inputs.data(),
          .outputs = step.outputs.data(),
          .input_count = static_cast<int>(step.inputs.size()),
          .output_count = static_cast<int>(step.outputs.size()),
          .attributes =
              step.node >= 0 ? graph.nodes()[static_cast<std::size_t>(step.node)].attributes.values().data() : nullptr,
          .workspace = step.workspace,
          .stream = &on};
}

void Program::Impl::run_step(std::size_t index, RunTimes::Span* span) {
  Step& step = steps[index];
  const NamedRange range(backend_of(device.kind), step.name);
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
  Call call = call_of(step, *stream);
  const auto copies = written_copies.find(index);
  if (copies != written_copies.end()) call.listener = copies->second->listener();
  step.kernel->run(call);
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

// Whether all that a run needs is there.
void Program::Impl::check_ready() {
  fences.clear();
  for (const auto& entry : graph.inputs()) {
    DERMATOME_CHECK(placements[at(entry.value)].tensor.defined(), "input '{}' was never set", entry.name);
  }
  for (const auto& state : read) {
    DERMATOME_CHECK(!state->removed, "state '{}' was removed after this program was compiled", state->name);
  }
  DERMATOME_CHECK(threads() == compiled_threads, "this program was compiled for {} threads and cannot run on {}",
                  compiled_threads, threads());
}

// `recorded`: as one launch, where the device and the options allow it.
void Program::Impl::run(RunTimes* times, bool recorded) {
  run_start = Clock::now();
  check_ready();
  const double refresh_start = times != nullptr ? seconds_since_start() : 0;
  refresh_prepared(recorded);
  if (times != nullptr) {
    stream->synchronize();
    times->prepared = {.start = refresh_start, .seconds = seconds_since_start() - refresh_start};
  }
  recorded = recorded && times == nullptr && may_record();
  choose_written_copies();
  for (const auto& state : written) ++state->version;  // now: a kernel that throws leaves no copy that seems fresh
  if (recorded && recording == nullptr) recording = stream->record([this] { queue_all(nullptr); });
  if (recorded && recording != nullptr) {
    recording->replay(*stream);
  } else {
    queue_all(times);
  }
  stream->synchronize();
  for (const auto& [step, copies] : written_copies) copies->mark_fresh();
  if (times != nullptr) read_marks(*times);
  ran_before = true;
  if (times != nullptr) times->total = seconds_since_start();
}

Program::Program(Graph graph, Device device, StateStore& store, const CompileOptions& options)
    : impl_(std::make_unique<Impl>(std::move(graph), device, store, options)) {
  impl_->compile();
}

ProgramNeeds Program::needs(Graph graph, Device device, const CompileOptions& options) {
  StateStore none(device);
  Impl plan(std::move(graph), device, none, options);
  plan.only_planned = true;
  plan.plan_program();
  ProgramNeeds needs{.memory = plan.memory, .prepared_copies = std::move(plan.copies_needed)};
  for (std::size_t v = 0; v < plan.placements.size(); ++v) {
    if (plan.placements[v].storage == Storage::output) needs.outputs += plan.graph.values()[v].desc.bytes();
  }
  return needs;
}

std::size_t ProgramNeeds::prepared_bytes() const {
  std::size_t sum = 0;
  for (const auto& [copy, bytes] : prepared_copies) sum += bytes;
  return sum;
}

void ProgramNeeds::add(const ProgramNeeds& other) {
  memory.arena += other.memory.arena;
  memory.arena_lower_bound += other.memory.arena_lower_bound;
  memory.inputs_and_outputs += other.memory.inputs_and_outputs;
  outputs += other.outputs;
  prepared_copies.insert(other.prepared_copies.begin(), other.prepared_copies.end());
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

double Program::run_step(std::size_t index, int times) {
  impl_->run_start = Impl::Clock::now();
  const auto before = impl_->stream->mark();
  for (int i = 0; i < times; ++i) impl_->run_step(index, nullptr);
  const auto behind = impl_->stream->mark();
  impl_->stream->synchronize();
  return before != nullptr ? behind->seconds_since(*before) : impl_->seconds_since_start();
}

const Graph& Program::graph() const {
  return impl_->graph;
}
const std::vector<Step>& Program::steps() const {
  return impl_->steps;
}
std::vector<std::string> Program::prepared_by() const {
  std::vector<std::string> kernels;
  for (const PreparedUse& use : impl_->prepared) kernels.push_back(use.reorder->describe());
  return kernels;
}
const ProgramMemory& Program::memory() const {
  return impl_->memory;
}
std::vector<ArenaUse> Program::lifetimes() const {
  const Impl& p = *impl_;
  const std::vector<int> last_use = p.last_uses();
  std::vector<ArenaUse> uses;
  const auto add = [&](ArenaUse::Kind kind, int value, std::size_t first, int last, int slot) {
    const auto place = static_cast<std::size_t>(slot);
    uses.push_back({.kind = kind,
                    .value = value,
                    .first = static_cast<int>(first),
                    .last = std::min(last, static_cast<int>(p.steps.size()) - 1),
                    .slot = slot,
                    .offset = p.plan.offsets[place],
                    .bytes = bytes_in_arena(p.lifetimes[place].bytes)});
  };
  for (std::size_t s = 0; s < p.steps.size(); ++s) {
    const int here = std::max(static_cast<int>(s), p.steps[s].awaited);
    for (const int value : p.output_values[s]) {
      if (value < 0 || p.placements[static_cast<std::size_t>(value)].storage != Storage::arena) continue;
      add(ArenaUse::Kind::value, value, s, std::max(here, last_use[static_cast<std::size_t>(value)]),
          p.placements[static_cast<std::size_t>(value)].slot);
    }
    if (p.step_slot[s] >= 0) add(ArenaUse::Kind::workspace, -1, s, here, p.step_slot[s]);
    if (p.steps[s].node >= 0) continue;  // what it reads was reordered by a step before it
    for (const int slot : p.scratch_slots[s]) {
      if (slot < 0) continue;
      add(ArenaUse::Kind::reordered, p.input_values[s][0], s, p.lifetimes[static_cast<std::size_t>(slot)].last, slot);
    }
  }
  std::stable_sort(uses.begin(), uses.end(), [](const ArenaUse& a, const ArenaUse& b) { return a.slot < b.slot; });
  return uses;
}
const std::map<std::string, int>& Program::applied_passes() const {
  return impl_->applied;
}
Device Program::device() const {
  return impl_->device;
}

}  // namespace dermatome

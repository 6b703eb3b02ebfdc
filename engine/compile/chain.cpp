// Recording several programs, and several rounds of them, as one.
#include "engine/compile/chain.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "engine/compile/program_impl.h"
#include "engine/core/error.h"

namespace dermatome {

TensorDesc rows_of(const TensorDesc& of_round, int rounds) {
  std::vector<std::int64_t> extents{rounds};
  const auto each = of_round.shape.extents();
  extents.insert(extents.end(), each.begin(), each.end());
  return {of_round.type, Shape(extents)};
}

struct Chain::Impl {
  std::vector<Program::Impl*> programs;
  Rounds rounds;
  std::set<const State*> written;               // by any of them
  std::set<const State*> written_again;         // by more than one
  std::set<const PreparedCopy*> written_along;  // in the recording, by the step that writes the state
  std::unique_ptr<Recording> recording;
  std::vector<int> resolved;  // of each program, when it was recorded

  // A copy of what the chain writes is stale at its start, but for the first time, unless the step that writes the
  // state writes the copy too; all others must be fresh.
  bool is_refreshed(const PreparedUse& use) const {
    return written.contains(use.state.get()) && !written_along.contains(use.copy.get());
  }
  // Those of states that one program alone writes: another writer would leave the copy stale.
  void find_written_along() {
    written_along.clear();
    for (const auto* program : programs) {
      for (const auto& [step, copies] : program->written_copies) {
        copies->for_each([this](const State& state, const PreparedCopy& copy) {
          if (!written_again.contains(&state)) written_along.insert(&copy);
        });
      }
    }
  }
  std::vector<int> resolved_now() const {
    std::vector<int> counts;
    for (const auto* program : programs) counts.push_back(program->resolved);
    return counts;
  }
  bool may_record() const {
    return std::all_of(programs.begin(), programs.end(), [](const auto* program) { return program->may_record(); });
  }

  Device device() const { return programs.front()->device; }
  Stream& stream() const { return *programs.front()->stream; }
  // Another chain may have given a program its own since.
  void share_stream() {
    for (auto* program : programs) program->stream = programs.front()->stream;
  }

  void check(const std::vector<Program*>& chained, const RoundRows& rows, const Tensor& held) const {
    DERMATOME_CHECK(std::find(chained.begin(), chained.end(), rows.program) != chained.end(),
                    "'{}' has rows, but its program is not in the chain", rows.name);
    const TensorDesc wanted = rows_of(held.desc(), rounds.count);
    DERMATOME_CHECK(rows.rows.desc() == wanted && rows.rows.device() == device(),
                    "rows of '{}' are {} on {} and should be {} on {}", rows.name, to_string(rows.rows.desc()),
                    to_string(rows.rows.device()), to_string(wanted), to_string(device()));
  }

  void queue_inputs(int round) {
    for (const RoundRows& of : rounds.inputs) {
      const Tensor held = of.program->input(of.name);
      backend_of(device().kind)
          .copy(held.data(), of.rows.data() + static_cast<std::size_t>(round) * held.bytes(), held.bytes(), stream());
    }
  }
  void queue_outputs(int round) {
    for (const RoundRows& of : rounds.outputs) {
      const Tensor held = of.program->output(of.name);
      backend_of(device().kind)
          .copy(of.rows.data() + static_cast<std::size_t>(round) * held.bytes(), held.data(), held.bytes(), stream());
    }
  }

  void queue_all() {
    for (int round = 0; round < rounds.count; ++round) {
      queue_inputs(round);
      for (auto* program : programs) {
        program->queue_refresh([this](const PreparedUse& use) { return is_refreshed(use); });
        program->queue_all(nullptr);
      }
      queue_outputs(round);
    }
  }

  void run_one_by_one() {
    for (int round = 0; round < rounds.count; ++round) {
      queue_inputs(round);
      for (auto* program : programs) program->run(nullptr, false);
      queue_outputs(round);
    }
    stream().synchronize();
  }

  std::optional<double> run_recorded() {
    for (auto* program : programs) {
      program->check_ready();
      for (const PreparedUse& use : program->prepared) use.copy->read = use.state->version;
    }
    for (auto* program : programs) program->choose_written_copies();
    if (recording == nullptr || resolved != resolved_now()) {
      find_written_along();
      recording = stream().record([this] { queue_all(); });
      resolved = resolved_now();
    }
    for (auto* program : programs) {
      program->queue_refresh([this](const PreparedUse& use) { return !is_refreshed(use) && !use.is_fresh(); });
      for (const PreparedUse& use : program->prepared) {
        if (!is_refreshed(use)) use.copy->version = use.state->version;
      }
    }
    // Before anything runs: a kernel that throws leaves no copy that seems fresh.
    for (auto* program : programs) {
      for (const auto& state : program->written) state->version += static_cast<std::uint64_t>(rounds.count);
    }
    const auto begin = stream().mark();
    recording->replay(stream());
    const auto end = stream().mark();
    stream().synchronize();
    for (auto* program : programs) {
      for (const auto& [step, copies] : program->written_copies) {
        copies->for_each([this](const State& state, PreparedCopy& copy) {
          if (written_along.contains(&copy)) copy.version = state.version;
        });
      }
    }
    return begin != nullptr && end != nullptr ? std::optional(end->seconds_since(*begin)) : std::nullopt;
  }
};

Chain::Chain(std::vector<Program*> programs, Rounds rounds) : impl_(std::make_unique<Impl>()) {
  DERMATOME_CHECK(!programs.empty(), "a chain needs a program");
  DERMATOME_CHECK(rounds.count > 0, "a chain runs one round or more, not {}", rounds.count);
  for (Program* program : programs) {
    Program::Impl& of = *program->impl_;
    impl_->programs.push_back(&of);
    DERMATOME_CHECK(of.device == impl_->device(), "a chain runs on one device");
    for (const auto& state : of.written) {
      if (!impl_->written.insert(state.get()).second) impl_->written_again.insert(state.get());
    }
  }
  impl_->rounds = std::move(rounds);
  for (const auto& rows : impl_->rounds.inputs) impl_->check(programs, rows, rows.program->input(rows.name));
  for (const auto& rows : impl_->rounds.outputs) impl_->check(programs, rows, rows.program->output(rows.name));
}

Chain::~Chain() = default;
Chain::Chain(Chain&&) noexcept = default;

double Chain::run() {
  impl_->share_stream();
  const auto start = std::chrono::steady_clock::now();
  std::optional<double> measured;
  if (impl_->may_record() && impl_->device().kind == DeviceKind::cuda) {
    measured = impl_->run_recorded();
  } else {
    impl_->run_one_by_one();
  }
  return measured.value_or(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

}  // namespace dermatome

// Recording several programs, and several rounds of them, as one.
#include "engine/compile/chain.h"

#include <algorithm>

#include "engine/compile/program_impl.h"
#include "engine/core/error.h"

namespace dermatome {

struct Chain::Impl {
  // A copy between a row of each round and what the program holds.
  struct RowCopy {
    std::byte* rows;
    std::byte* held;
    std::size_t bytes;  // of a row
  };

  std::vector<Program::Impl*> programs;
  int rounds = 1;
  std::vector<RowCopy> inputs, outputs;
  std::vector<Tensor> kept;        // what the copies point at
  std::set<const State*> written;  // by any of them
  std::unique_ptr<Recording> recording;
  std::vector<int> resolved;  // of each program, when it was recorded

  // A copy of what the chain writes is stale at its start, but for the first time; all others must be fresh.
  bool is_written(const PreparedUse& use) const { return written.contains(use.state.get()); }
  std::vector<int> resolved_now() const {
    std::vector<int> counts;
    for (const auto* program : programs) counts.push_back(program->resolved);
    return counts;
  }
  bool may_record() const {
    return std::all_of(programs.begin(), programs.end(), [](const auto* program) { return program->may_record(); });
  }

  static RowCopy copy_of(const RoundRows& rows, const Tensor& held, int rounds) {
    DERMATOME_CHECK(rows.rows.shape().rank() > 0 && rows.rows.shape()[0] == rounds &&
                        rows.rows.desc().type == held.desc().type &&
                        rows.rows.bytes() == held.bytes() * static_cast<std::size_t>(rounds),
                    "'{}' is {}, and {} rounds cannot take it from {}", rows.name, to_string(held.desc()), rounds,
                    to_string(rows.rows.desc()));
    return {.rows = rows.rows.data(), .held = held.data(), .bytes = held.bytes()};
  }

  void queue_inputs(int round) {
    Backend& backend = backend_of(programs.front()->device.kind);
    for (const RowCopy& copy : inputs) {
      backend.copy(copy.held, copy.rows + static_cast<std::size_t>(round) * copy.bytes, copy.bytes,
                   *programs.front()->stream);
    }
  }
  void queue_outputs(int round) {
    Backend& backend = backend_of(programs.front()->device.kind);
    for (const RowCopy& copy : outputs) {
      backend.copy(copy.rows + static_cast<std::size_t>(round) * copy.bytes, copy.held, copy.bytes,
                   *programs.front()->stream);
    }
  }

  void queue_all() {
    for (int round = 0; round < rounds; ++round) {
      queue_inputs(round);
      for (auto* program : programs) {
        program->queue_refresh(&written);
        program->queue_all(nullptr);
      }
      queue_outputs(round);
    }
  }

  void run_one_by_one() {
    for (int round = 0; round < rounds; ++round) {
      queue_inputs(round);
      for (auto* program : programs) program->run(nullptr, false);
      queue_outputs(round);
    }
    programs.front()->stream->synchronize();
  }

  void run_recorded() {
    for (auto* program : programs) {
      program->check_ready();
      for (const PreparedUse& use : program->prepared) {
        if (is_written(use) || use.copy->version == use.state->version) continue;
        use.reorder->run(program->call_of(use));
        use.copy->version = use.state->version;
      }
    }
    Stream& stream = *programs.front()->stream;
    if (recording == nullptr || resolved != resolved_now()) {
      recording = stream.record([this] { queue_all(); });
      resolved = resolved_now();
    }
    // Before anything runs: a kernel that throws leaves no copy that seems fresh.
    for (auto* program : programs) {
      for (const PreparedUse& use : program->prepared) use.copy->version = use.state->version;
      for (const auto& state : program->written) state->version += static_cast<std::uint64_t>(rounds);
    }
    recording->replay(stream);
    stream.synchronize();
  }
};

Chain::Chain(std::vector<Program*> programs, Rounds rounds) : impl_(std::make_unique<Impl>()) {
  DERMATOME_CHECK(!programs.empty(), "a chain needs a program");
  DERMATOME_CHECK(rounds.count > 0, "a chain runs one round or more, not {}", rounds.count);
  impl_->rounds = rounds.count;
  for (Program* program : programs) {
    Program::Impl& of = *program->impl_;
    impl_->programs.push_back(&of);
    DERMATOME_CHECK(of.device == impl_->programs.front()->device, "a chain runs on one device");
    of.stream = impl_->programs.front()->stream;
    for (const auto& state : of.written) impl_->written.insert(state.get());
  }
  const auto add = [&](const RoundRows& rows, const Tensor& held, std::vector<Impl::RowCopy>& copies) {
    copies.push_back(Impl::copy_of(rows, held, rounds.count));
    impl_->kept.insert(impl_->kept.end(), {rows.rows, held});
  };
  for (const auto& rows : rounds.inputs) add(rows, rows.program->input(rows.name), impl_->inputs);
  for (const auto& rows : rounds.outputs) add(rows, rows.program->output(rows.name), impl_->outputs);
}

Chain::~Chain() = default;
Chain::Chain(Chain&&) noexcept = default;

void Chain::run() {
  if (impl_->may_record() && impl_->programs.front()->device.kind == DeviceKind::cuda) return impl_->run_recorded();
  impl_->run_one_by_one();
}

}  // namespace dermatome

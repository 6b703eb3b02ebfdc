// Recording several programs as one.
#include "engine/compile/chain.h"

#include <algorithm>

#include "engine/compile/program_impl.h"
#include "engine/core/error.h"

namespace dermatome {

struct Chain::Impl {
  std::vector<Program::Impl*> programs;
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

  void queue_all() {
    for (auto* program : programs) {
      program->queue_refresh(&written);
      program->queue_all(nullptr);
    }
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
      for (const auto& state : program->written) ++state->version;
    }
    recording->replay(stream);
    stream.synchronize();
  }
};

Chain::Chain(std::vector<Program*> programs) : impl_(std::make_unique<Impl>()) {
  DERMATOME_CHECK(!programs.empty(), "a chain needs a program");
  for (Program* program : programs) {
    Program::Impl& of = *program->impl_;
    impl_->programs.push_back(&of);
    DERMATOME_CHECK(of.device == impl_->programs.front()->device, "a chain runs on one device");
    of.stream = impl_->programs.front()->stream;
    for (const auto& state : of.written) impl_->written.insert(state.get());
  }
}

Chain::~Chain() = default;
Chain::Chain(Chain&&) noexcept = default;

void Chain::run() {
  if (impl_->may_record() && impl_->programs.front()->device.kind == DeviceKind::cuda) return impl_->run_recorded();
  for (auto* program : impl_->programs) program->run(nullptr, false);
}

}  // namespace dermatome

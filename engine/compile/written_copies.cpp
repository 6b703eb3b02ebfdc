// Which copies a step writes, and writing them.
#include "engine/compile/written_copies.h"

#include <algorithm>

#include "engine/compile/pass.h"

namespace dermatome {

const char* const kUpdateWritesCopies = "update_writes_copies";

namespace {

const RewriteRegistrar registrar({.name = kUpdateWritesCopies,
                                  .summary = "prepared copies of weights are written by the update of the weights",
                                  .order = 100,
                                  .pattern = "",
                                  .of_the_program = true});

}  // namespace

WrittenCopies::WrittenCopies(std::vector<std::shared_ptr<State>> states, CopyDuty duty) : duty_(duty) {
  for (auto& state : states) outputs_.push_back({.state = std::move(state), .by_rows = {}, .whole = {}});
  listener_ = listener_of(outputs_);
}

WriteListener WrittenCopies::listener_of(std::vector<OfOutput>& outputs) {
  return {.context = &outputs,
          .rows_at_a_time =
              [](void* context, int output) {
                return (*static_cast<std::vector<OfOutput>*>(context))[static_cast<std::size_t>(output)].rows_at_a_time;
              },
          .wrote_rows =
              [](void* context, int output, std::int64_t first, std::int64_t count) {
                const auto& of = (*static_cast<std::vector<OfOutput>*>(context))[static_cast<std::size_t>(output)];
                for (const PreparedCopy* copy : of.by_rows) copy->write_rows(first, count);
              },
          .wrote_all =
              [](void* context, int output) {
                const auto& of = (*static_cast<std::vector<OfOutput>*>(context))[static_cast<std::size_t>(output)];
                for (const PreparedCopy* copy : of.whole) copy->write_all();
              },
          .channels_last = [](void* context, int output) -> ChannelsLastCopy {
            const auto& of = (*static_cast<std::vector<OfOutput>*>(context))[static_cast<std::size_t>(output)];
            if (of.channels_last == nullptr) return {nullptr, DType::f32};
            return {of.channels_last->buffer.data(), *of.channels_last->channels_last};
          }};
}

// Blocks of different sizes are no multiples of each other: such a copy is made as a whole.
void WrittenCopies::choose_told(OfOutput& output) {
  output.by_rows.clear();
  output.whole.clear();
  output.rows_at_a_time = 0;
  for (const auto& [layout, copy] : output.state->prepared) {
    if (copy->read != output.state->version) continue;
    const std::int64_t rows = copy->rows_at_a_time;
    if (rows > 0 && (output.rows_at_a_time == 0 || output.rows_at_a_time == rows)) {
      output.rows_at_a_time = rows;
      output.by_rows.push_back(copy.get());
    } else if (copy->write_all != nullptr) {
      output.whole.push_back(copy.get());
    }
  }
}

// The first that is read stays; one in a second type is made by what reads it.
bool WrittenCopies::choose_written(OfOutput& output) {
  if (output.channels_last != nullptr) return false;
  for (const auto& [layout, copy] : output.state->prepared) {
    if (copy->read == output.state->version && copy->channels_last.has_value()) output.channels_last = copy.get();
  }
  return output.channels_last != nullptr;
}

bool WrittenCopies::choose() {
  bool grown = false;
  if (duty_ == CopyDuty::tells) any_ = false;
  for (OfOutput& output : outputs_) {
    if (output.state == nullptr) continue;
    if (duty_ == CopyDuty::writes) {
      grown = choose_written(output) || grown;
    } else {
      choose_told(output);
      any_ = any_ || !output.by_rows.empty() || !output.whole.empty();
    }
  }
  any_ = any_ || grown;
  return grown;
}

void WrittenCopies::for_each(const std::function<void(State&, PreparedCopy&)>& f) const {
  for (const OfOutput& output : outputs_) {
    for (PreparedCopy* copy : output.by_rows) f(*output.state, *copy);
    for (PreparedCopy* copy : output.whole) f(*output.state, *copy);
    if (output.channels_last != nullptr) f(*output.state, *output.channels_last);
  }
}

void WrittenCopies::mark_fresh() {
  for_each([](const State& state, PreparedCopy& copy) { copy.version = state.version; });
}

}  // namespace dermatome

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

WrittenCopies::WrittenCopies(std::vector<std::shared_ptr<State>> states) {
  for (auto& state : states) outputs_.push_back({.state = std::move(state), .by_rows = {}, .whole = {}});
  listener_ = {
      .context = &outputs_,
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
          }};
}

// Blocks of different sizes are no multiples of each other: such a copy is made as a whole.
void WrittenCopies::sort_in(OfOutput& output, PreparedCopy& copy) {
  const std::int64_t rows = copy.rows_at_a_time;
  if (rows > 0 && (output.rows_at_a_time == 0 || output.rows_at_a_time == rows)) {
    output.rows_at_a_time = rows;
    output.by_rows.push_back(&copy);
  } else if (copy.write_all != nullptr) {
    output.whole.push_back(&copy);
  }
}

const WriteListener* WrittenCopies::begin() {
  bool any = false;
  for (OfOutput& output : outputs_) {
    output.by_rows.clear();
    output.whole.clear();
    output.rows_at_a_time = 0;
    if (output.state == nullptr) continue;
    for (const auto& [layout, copy] : output.state->prepared) {
      if (copy->read + 1 == output.state->version) sort_in(output, *copy);
    }
    any = any || !output.by_rows.empty() || !output.whole.empty();
  }
  return any ? &listener_ : nullptr;
}

void WrittenCopies::end() {
  for (const OfOutput& output : outputs_) {
    for (PreparedCopy* copy : output.by_rows) copy->version = output.state->version;
    for (PreparedCopy* copy : output.whole) copy->version = output.state->version;
  }
}

}  // namespace dermatome

// The graph language: what parses prints as a text that parses to the same, and what is a network can be built.
#include <algorithm>
#include <stdexcept>

#include "engine/core/error.h"
#include "engine/graph/model.h"
#include "tests/fuzz/targets.h"

namespace dermatome::fuzz {
namespace {

void build(const Model& model) {
  constexpr std::int64_t kMost = 64;
  if (model.input_channels() > kMost || model.divisor() > kMost) return;
  const std::int64_t side = model.divisor() * (kMost / model.divisor());
  Graph graph;
  Builder builder(graph);
  model.append(builder, graph.add_input("image", {DType::f32, {1, side, side, model.input_channels()}}),
               training_phase);
}

}  // namespace

void graph(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  try {
    const Model model = Model::parse(text, "fuzz.graph");
    const std::string canonical = model.canonical_text();
    if (Model::parse(canonical, "canonical.graph").canonical_text() != canonical)
      throw std::logic_error("the canonical text is not canonical");
    build(model);
  } catch (const Error&) {  // refused
  }
}

}  // namespace dermatome::fuzz

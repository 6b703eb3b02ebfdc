// Small graphs over the test ops, compiled and run in one line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/compile/program.h"
#include "engine/graph/builder.h"

namespace dermatome {

inline constexpr Device kCpuDevice{DeviceKind::cpu, 0};
inline const TensorDesc kVector{DType::f32, {4}};

inline Tensor vector_of(std::vector<float> values) {
  return tensor_of(std::span<const float>(values), {static_cast<std::int64_t>(values.size())});
}

inline std::vector<float> elements(const Tensor& tensor) {
  const auto values = tensor.as<float>();
  return {values.begin(), values.end()};
}

inline Value state_of(Graph& graph, std::string name, TensorDesc desc = kVector) {
  return graph.read_state({.name = std::move(name), .desc = desc, .initializer = {}, .group = {}});
}

// A graph over states of four elements, and the store that they live in.
struct Draft {
  Graph graph;
  Builder builder{graph};
  StateStore store;

  Value state(std::string name) { return state_of(graph, std::move(name)); }
  Value call(std::string name, std::string_view op, std::vector<Value> inputs) {
    builder.set_scope({.name = std::move(name), .group = {}, .at = {}});
    return builder.call(op, std::move(inputs));
  }
  Program compile(const CompileOptions& options = {}) {
    store.create(graph.states(), 1);
    return Program(graph, kCpuDevice, store, options);
  }
  std::vector<float> read(std::string_view name) const { return elements(store.read(name)); }
};

inline std::vector<std::string> step_names(const Program& program) {
  std::vector<std::string> names;
  for (const Step& step : program.steps()) names.push_back(step.name);
  return names;
}

}  // namespace dermatome

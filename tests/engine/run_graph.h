// Small graphs over the test ops, compiled and run in one line.
#pragma once

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

}  // namespace dermatome

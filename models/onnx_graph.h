// Adding nodes and constants to an ONNX graph (https://onnx.ai, operators of opset 17).
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace dermatome {

// An attribute of a node: a whole number, several, or a real one.
struct OnnxAttribute {
  OnnxAttribute(const char* attribute, std::int64_t value);
  OnnxAttribute(const char* attribute, std::vector<std::int64_t> values);
  OnnxAttribute(const char* attribute, float value);
  OnnxAttribute(const char* attribute, const char* value);

  onnx::AttributeProto proto;
};

class OnnxGraph {
 public:
  explicit OnnxGraph(onnx::GraphProto& graph) : graph_(graph) {}

  // Adds a node whose only output has the name that is returned.
  std::string add(const char* type, const std::vector<std::string>& inputs, const std::string& output,
                  const std::vector<OnnxAttribute>& attributes = {});
  // Constants; the name is returned.
  std::string constant(const std::string& name, const Tensor& f32);
  std::string constant(const std::string& name, std::span<const float> values, const std::vector<std::int64_t>& dims);
  std::string constant(const std::string& name, const std::vector<std::int64_t>& values);

  // An input or output; an empty dimension has that name instead of a size.
  struct Dimension {
    std::string name;
    std::int64_t size = 0;
  };
  void declare_input(const std::string& name, onnx::TensorProto::DataType type, const std::vector<Dimension>& shape);
  void declare_output(const std::string& name, onnx::TensorProto::DataType type, const std::vector<Dimension>& shape);

 private:
  onnx::GraphProto& graph_;
};

}  // namespace dermatome

// The few messages of ONNX that networks are made of.
#include "models/onnx_graph.h"

namespace dermatome {
namespace {

void describe(onnx::ValueInfoProto& value, const std::string& name, onnx::TensorProto::DataType type,
              const std::vector<OnnxGraph::Dimension>& shape) {
  value.set_name(name);
  auto* tensor = value.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  for (const auto& [dimension, size] : shape) {
    auto* added = tensor->mutable_shape()->add_dim();
    if (dimension.empty()) {
      added->set_dim_value(size);
    } else {
      added->set_dim_param(dimension);
    }
  }
}

}  // namespace

OnnxAttribute::OnnxAttribute(const char* attribute, std::int64_t value) {
  proto.set_name(attribute);
  proto.set_type(onnx::AttributeProto::INT);
  proto.set_i(value);
}
OnnxAttribute::OnnxAttribute(const char* attribute, std::vector<std::int64_t> values) {
  proto.set_name(attribute);
  proto.set_type(onnx::AttributeProto::INTS);
  for (const auto value : values) proto.add_ints(value);
}
OnnxAttribute::OnnxAttribute(const char* attribute, float value) {
  proto.set_name(attribute);
  proto.set_type(onnx::AttributeProto::FLOAT);
  proto.set_f(value);
}
OnnxAttribute::OnnxAttribute(const char* attribute, const char* value) {
  proto.set_name(attribute);
  proto.set_type(onnx::AttributeProto::STRING);
  proto.set_s(value);
}

std::string OnnxGraph::add(const char* type, const std::vector<std::string>& inputs, const std::string& output,
                           const std::vector<OnnxAttribute>& attributes) {
  auto* node = graph_.add_node();
  node->set_op_type(type);
  node->set_name(output);
  for (const auto& input : inputs) node->add_input(input);
  node->add_output(output);
  for (const auto& attribute : attributes) *node->add_attribute() = attribute.proto;
  return output;
}

std::string OnnxGraph::constant(const std::string& name, std::span<const float> values,
                                const std::vector<std::int64_t>& dims) {
  auto* tensor = graph_.add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  for (const auto dim : dims) tensor->add_dims(dim);
  tensor->set_raw_data(values.data(), values.size_bytes());
  return name;
}

std::string OnnxGraph::constant(const std::string& name, const Tensor& f32) {
  const auto extents = f32.shape().extents();
  return constant(name, f32.as<float>(), {extents.begin(), extents.end()});
}

std::string OnnxGraph::constant(const std::string& name, const std::vector<std::int64_t>& values) {
  auto* tensor = graph_.add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::INT64);
  tensor->add_dims(static_cast<std::int64_t>(values.size()));
  tensor->set_raw_data(values.data(), values.size() * sizeof(std::int64_t));
  return name;
}

void OnnxGraph::declare_input(const std::string& name, onnx::TensorProto::DataType type,
                              const std::vector<Dimension>& shape) {
  describe(*graph_.add_input(), name, type, shape);
}
void OnnxGraph::declare_output(const std::string& name, onnx::TensorProto::DataType type,
                               const std::vector<Dimension>& shape) {
  describe(*graph_.add_output(), name, type, shape);
}

}  // namespace dermatome

// Automatic differentiation, Graph -> Graph: gradients are ordinary nodes, there is no tape.
#pragma once

#include <string>
#include <vector>

#include "engine/graph/builder.h"

namespace dermatome {

// What Op::gradient sees of one node, and where it leaves its results.
class GradientContext {
 public:
  GradientContext(Builder& builder, const Node& node, std::vector<Value> upstream, std::vector<bool> wanted);

  Builder& builder() { return builder_; }
  const Attributes& attributes() const { return node_.attributes; }
  Value input(int i) const { return node_.inputs[static_cast<std::size_t>(i)]; }
  bool has_input(int i) const { return i < static_cast<int>(node_.inputs.size()) && input(i); }
  Value output(int i) const { return node_.outputs[static_cast<std::size_t>(i)]; }
  int input_count() const { return static_cast<int>(node_.inputs.size()); }
  // Gradient of the loss by output i; absent when nothing depends on that output.
  Value upstream(int i = 0) const { return upstream_[static_cast<std::size_t>(i)]; }
  const TensorDesc& desc(Value value) const { return builder_.desc(value); }

  // Whether anybody needs the gradient of input i. Emitting others costs nothing at run time but time to compile.
  bool wants(int i) const { return i < static_cast<int>(wanted_.size()) && wanted_[static_cast<std::size_t>(i)]; }
  // Same type and shape as the input.
  void set(int i, Value gradient);
  const std::vector<Value>& gradients() const { return gradients_; }

  std::string describe() const;  // "model.graph:3:5: conv1 (conv2d)"

 private:
  Builder& builder_;
  Node node_;  // a copy: adding nodes moves the graph's own
  std::vector<Value> upstream_;
  std::vector<bool> wanted_;
  std::vector<Value> gradients_;
};

// Appends to the graph what computes d(loss)/d(each of `with_respect_to`) and returns those values in the same order.
// `loss` has one element. Nodes from which no wanted value is reached get no gradient work. A wanted value that the
// loss does not depend on yields an absent Value. Throws Error for a node on the way that has no gradient.
std::vector<Value> differentiate(Graph& graph, Value loss, const std::vector<Value>& with_respect_to);

}  // namespace dermatome

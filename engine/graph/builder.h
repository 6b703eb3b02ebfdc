// Builder: adds nodes to a Graph by op name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/graph.h"

namespace dermatome {

class Builder {
 public:
  explicit Builder(Graph& graph) : graph_(graph) {}

  // What following nodes are called, which group they belong to, and where they were written.
  struct Scope {
    std::string name;
    std::string group;
    SourceLocation at;
  };
  void set_scope(Scope scope) { scope_ = std::move(scope); }
  void set_scope_of(const Node& node) { scope_ = {.name = node.name, .group = node.group, .at = node.at}; }
  const Scope& scope() const { return scope_; }

  // All outputs. Inputs may be absent where the op allows it. Throws UsageError for an unknown op or attribute.
  std::vector<Value> call_all(std::string_view op, std::vector<Value> inputs, AttributeList attributes = {});
  std::vector<Value> call_all(std::string_view op, std::vector<Value> inputs, Attributes attributes);
  // The first output.
  Value call(std::string_view op, std::vector<Value> inputs, AttributeList attributes = {}) {
    return call_all(op, std::move(inputs), attributes)[0];
  }

  // The core set, which autograd and passes emit themselves.
  Value add(Value a, Value b) { return call("add", {a, b}); }
  Value scale(Value x, double factor) { return call("scale", {x}, {{"factor", factor}}); }
  Value cast(Value x, DType type);
  Value fill(const TensorDesc& desc, double value);

  // Whether x is a `fill` of exactly this constant: lets a gradient leave out a multiplication by one.
  bool is_fill(Value x, double value) const;

  Graph& graph() { return graph_; }
  const TensorDesc& desc(Value value) const { return graph_.desc(value); }

 private:
  Graph& graph_;
  Scope scope_;
};

}  // namespace dermatome

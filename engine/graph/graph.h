// Graph: nodes and values in static single assignment form, in an order that respects their dependencies.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/op.h"
#include "engine/graph/value.h"

namespace dermatome {

// Where a node was written, for errors; empty for generated nodes.
struct SourceLocation {
  std::string file;
  int line = 0;
  int column = 0;
};
std::string to_string(const SourceLocation& at);  // "unet34.graph:12:3", or "" without a file

struct Node {
  const Op* op = nullptr;
  Attributes attributes;
  std::vector<Value> inputs;  // absent where optional and not given
  std::vector<Value> outputs;
  std::string name;   // "layer2.0.conv1", "gradient of layer2.0.conv1"
  std::string group;  // parameter group, may be empty
  SourceLocation at;
  int order = -1;  // where it prefers to run among others that are ready; -1: as it was added
};

struct ValueInfo {
  TensorDesc desc;
  int producer = -1;  // node, or -1 for an input or a state
  int output = 0;     // which output of the producer
  std::string name;
  std::string state;  // the state that this value reads, if it does
};

struct StateDeclaration {
  std::string name;
  TensorDesc desc;
  Initializer initializer;
  std::string group;
  bool trainable = false;
};

struct NamedValue {
  std::string name;
  Value value;
};

class Graph {
 public:
  // --- building; Builder is the comfortable way ---
  Value add_input(std::string name, TensorDesc desc);     // names are unique
  Value read_state(const StateDeclaration& declaration);  // the same name gives the same value
  void write_state(std::string_view name, Value value);   // at most once a state; same type and shape
  void mark_output(std::string name, Value value);        // names are unique
  // Infers the outputs' shapes. Errors carry the node's name and location.
  int add_node(Node node);

  // --- reading ---
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<ValueInfo>& values() const { return values_; }
  const ValueInfo& info(Value value) const { return values_[static_cast<std::size_t>(value.id)]; }
  const TensorDesc& desc(Value value) const { return info(value).desc; }
  const std::vector<NamedValue>& inputs() const { return inputs_; }
  const std::vector<NamedValue>& outputs() const { return outputs_; }
  const std::vector<StateDeclaration>& states() const { return states_; }
  const std::vector<NamedValue>& state_writes() const { return state_writes_; }
  Value input(std::string_view name) const;  // throws Error naming what there is
  Value output(std::string_view name) const;
  Value state(std::string_view name) const;     // the value that reads it; absent when nothing does
  std::vector<std::vector<int>> users() const;  // per value: the nodes that read it

  OpCall call_of(const Node& node) const;
  std::vector<TensorDesc> output_descs(const Node& node) const;

  // --- changing; used by passes ---
  // Every read of `from` reads `to` instead: in outputs, state writes and the nodes in front of node `before` (so that
  // a pass which has just added nodes can leave these alone).
  void replace_uses(Value from, Value to, int before = 1 << 30);
  // Drops nodes whose results reach neither an output nor a state write. Values keep their numbers.
  void remove_dead_nodes();
  // Puts the nodes into a dependency order again, by Node::order where there is a choice. `before` adds constraints:
  // the first node of each pair runs before the second. Returns false, and changes nothing, when these make a cycle.
  bool sort_topologically(const std::vector<std::pair<int, int>>& before = {});
  void set_order(int node, int order) { nodes_[static_cast<std::size_t>(node)].order = order; }

 private:
  Value new_value(ValueInfo info);
  void number_producers();

  std::vector<Node> nodes_;
  std::vector<ValueInfo> values_;
  std::vector<NamedValue> inputs_;
  std::vector<NamedValue> outputs_;
  std::vector<StateDeclaration> states_;
  std::vector<Value> state_values_;
  std::vector<NamedValue> state_writes_;
};

}  // namespace dermatome

// The pass bf16_activations.
#include "engine/compile/type_policy.h"

#include <algorithm>
#include <map>

#include "engine/compile/pass.h"
#include "engine/graph/builder.h"

namespace dermatome {
namespace {

const InputSpec& spec_of(const Op& op, std::size_t input) {
  const auto& specs = op.signature().inputs;
  return specs[std::min(input, specs.size() - 1)];
}

class TypePolicy {
 public:
  TypePolicy(const Graph& from, const std::set<std::string>& reduced_inputs)
      : from_(from),
        reduced_inputs_(reduced_inputs),
        builder_(to_),
        new_value_(from.values().size()),
        wanted_reduced_(from.values().size()) {}

  Graph rebuild() {
    find_wishes();
    for (const auto& entry : from_.inputs()) {
      TensorDesc desc = from_.desc(entry.value);
      if (reduced_inputs_.contains(entry.name)) desc.type = DType::bf16;
      at(entry.value) = to_.add_input(entry.name, desc);
    }
    for (const auto& state : from_.states()) at(from_.state(state.name)) = to_.read_state(state);
    for (const Node& node : from_.nodes()) add(node);
    for (const auto& entry : from_.outputs())
      to_.mark_output(entry.name, in_type(at(entry.value), from_.desc(entry.value).type));
    for (const auto& entry : from_.state_writes())
      to_.write_state(entry.name, in_type(at(entry.value), from_.desc(entry.value).type));
    return std::move(to_);
  }

  int reduced_nodes() const { return reduced_nodes_; }

 private:
  Value& at(Value old) { return new_value_[static_cast<std::size_t>(old.id)]; }
  bool is_f32(Value old) const { return old && from_.desc(old).type == DType::f32; }

  // Values that some node may read as bf16.
  void find_wishes() {
    for (const Node& node : from_.nodes()) {
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        if (node.inputs[i] && spec_of(*node.op, i).precision != Precision::full) {
          wanted_reduced_[static_cast<std::size_t>(node.inputs[i].id)] = true;
        }
      }
    }
  }

  bool reduces(const Node& node) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (!is_f32(node.inputs[i])) continue;
      const Precision precision = spec_of(*node.op, i).precision;
      if (precision == Precision::reduced) return true;
      if (precision == Precision::follows && to_.desc(at(node.inputs[i])).type == DType::bf16) return true;
    }
    return false;
  }

  void add(const Node& old) {
    Node node = old;
    node.outputs.clear();
    builder_.set_scope({.name = "cast for " + old.name, .group = old.group, .at = old.at});
    order_ = old.order;
    const bool reduced = reduces(old);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (!old.inputs[i]) continue;
      const bool narrow = reduced && is_f32(old.inputs[i]) && spec_of(*old.op, i).precision != Precision::full;
      node.inputs[i] = in_type(at(old.inputs[i]), narrow ? DType::bf16 : from_.desc(old.inputs[i]).type);
    }
    if (reduced) {
      ++reduced_nodes_;
      if (!wanted_reduced_[static_cast<std::size_t>(old.outputs[0].id)]) node.op->write_full_precision(node.attributes);
    }
    const auto& added = to_.nodes()[static_cast<std::size_t>(to_.add_node(std::move(node)))];
    for (std::size_t i = 0; i < old.outputs.size(); ++i) at(old.outputs[i]) = added.outputs[i];
  }

  Value in_type(Value value, DType type) {
    if (to_.desc(value).type == type) return value;
    Value& known = casts_[{value.id, type}];
    if (!known) {
      known = builder_.cast(value, type);
      to_.set_order(to_.info(known).producer, order_);
      casts_[{known.id, to_.desc(value).type}] = value;
    }
    return known;
  }

  const Graph& from_;
  const std::set<std::string>& reduced_inputs_;
  Graph to_;
  Builder builder_;
  std::vector<Value> new_value_;      // by old value
  std::vector<bool> wanted_reduced_;  // by old value
  std::map<std::pair<int, DType>, Value> casts_;
  int order_ = -1;
  int reduced_nodes_ = 0;
};

// Behind all rewrites: their patterns then never meet a cast, and an op that they make needs nothing but its
// declaration.
const RewriteRegistrar registrar(
    {.name = "bf16_activations",
     .summary = "activations and their gradients in bf16, everything else in f32 (only with --type bf16)",
     .order = 1000,
     .pattern = {},
     .apply_to_graph = [](Graph& graph, const CompileOptions& options) {
       return options.activations == DType::bf16 ? apply_type_policy(graph) : 0;
     }});

}  // namespace

int apply_type_policy(Graph& graph, const std::set<std::string>& reduced_inputs) {
  TypePolicy policy(graph, reduced_inputs);
  Graph typed = policy.rebuild();
  graph = std::move(typed);
  return policy.reduced_nodes();
}

void reduce_types(KernelRequest& request) {
  const auto is_f32 = [&](std::size_t i) {
    return request.has_input(static_cast<int>(i)) && request.inputs[i].type == DType::f32;
  };
  bool reduces = false;
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    reduces = reduces || (is_f32(i) && spec_of(request.op, i).precision == Precision::reduced);
  }
  if (!reduces) return;
  for (std::size_t i = 0; i < request.inputs.size(); ++i) {
    if (is_f32(i) && spec_of(request.op, i).precision != Precision::full) request.inputs[i].type = DType::bf16;
  }
  request.outputs = request.op.infer(request.op_call());
  request.type = request.op.compute_type(request.op_call(), request.outputs);
}

}  // namespace dermatome

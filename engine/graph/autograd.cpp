// Reverse-mode differentiation over the nodes of a graph.
#include "engine/graph/autograd.h"

#include "engine/core/error.h"

namespace dermatome {
namespace {

std::size_t at(Value value) {
  return static_cast<std::size_t>(value.id);
}

// Values that depend on one of the roots through differentiable outputs.
std::vector<bool> reached_from(const Graph& graph, const std::vector<Value>& roots) {
  std::vector<bool> reached(graph.values().size(), false);
  for (const Value root : roots) reached[at(root)] = true;
  for (const Node& node : graph.nodes()) {
    bool any = false;
    for (const Value input : node.inputs) any = any || (input && reached[at(input)]);
    if (!any) continue;
    const auto& specs = node.op->signature().outputs;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (specs[std::min(i, specs.size() - 1)].differentiable) reached[at(node.outputs[i])] = true;
    }
  }
  return reached;
}

}  // namespace

GradientContext::GradientContext(Builder& builder, const Node& node, std::vector<Value> upstream,
                                 std::vector<bool> wanted)
    : builder_(builder),
      node_(node),
      upstream_(std::move(upstream)),
      wanted_(std::move(wanted)),
      gradients_(node.inputs.size()) {}

void GradientContext::set(int i, Value gradient) {
  DERMATOME_CHECK(desc(gradient) == desc(input(i)), "{}: the gradient of input {} is {}, the input {}", describe(), i,
                  to_string(desc(gradient)), to_string(desc(input(i))));
  gradients_[static_cast<std::size_t>(i)] = gradient;
}

std::string GradientContext::describe() const {
  const std::string where = to_string(node_.at);
  return fmt::format("{}{} ({})", where.empty() ? "" : where + ": ", node_.name, node_.op->name());
}

std::vector<Value> differentiate(Graph& graph, Value loss, const std::vector<Value>& with_respect_to) {
  DERMATOME_CHECK(graph.desc(loss).shape.elements() == 1, "only a single number can be differentiated, not {}",
                  to_string(graph.desc(loss)));
  const std::vector<bool> needed = reached_from(graph, with_respect_to);
  std::vector<Value> gradient_of(graph.values().size());
  const std::size_t forward_nodes = graph.nodes().size();
  Builder builder(graph);
  if (needed[at(loss)]) {
    builder.set_scope({.name = "gradient of the loss", .group = {}, .at = {}});
    gradient_of[at(loss)] = builder.fill(graph.desc(loss), 1.0);
  }

  for (std::size_t n = forward_nodes; n-- > 0;) {
    const Node node = graph.nodes()[n];
    std::vector<Value> upstream;
    bool any = false;
    for (const Value output : node.outputs) {
      upstream.push_back(needed[at(output)] ? gradient_of[at(output)] : Value{});
      any = any || upstream.back();
    }
    if (!any) continue;
    std::vector<bool> wanted;
    bool wants_any = false;
    for (const Value input : node.inputs) {
      wanted.push_back(input && needed[at(input)]);
      wants_any = wants_any || wanted.back();
    }
    if (!wants_any) continue;
    builder.set_scope({.name = "gradient of " + node.name, .group = node.group, .at = node.at});
    GradientContext context(builder, node, std::move(upstream), std::move(wanted));
    node.op->gradient(context);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (!context.wants(static_cast<int>(i))) continue;
      const Value gradient = context.gradients()[i];
      if (!gradient) continue;
      Value& sum = gradient_of[at(node.inputs[i])];
      sum = sum ? builder.add(sum, gradient) : gradient;
    }
  }

  std::vector<Value> results;
  for (const Value root : with_respect_to) results.push_back(gradient_of[at(root)]);
  return results;
}

}  // namespace dermatome

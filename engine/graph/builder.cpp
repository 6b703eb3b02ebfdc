// Builder: nodes by op name, and the core set.
#include "engine/graph/builder.h"

#include "engine/core/error.h"

namespace dermatome {
namespace {

std::string label(const Builder::Scope& scope, std::string_view op) {
  return scope.name.empty() ? std::string(op) : scope.name;
}

}  // namespace

std::vector<Value> Builder::call_all(std::string_view op_name, std::vector<Value> inputs, AttributeList list) {
  Attributes attributes(op_named(op_name).signature().attributes);
  for (const auto& [name, argument] : list) attributes.set(name, argument);
  return call_all(op_name, std::move(inputs), std::move(attributes));
}

std::vector<Value> Builder::call_all(std::string_view op_name, std::vector<Value> inputs, Attributes attributes) {
  const Op& op = op_named(op_name);
  const int node = graph_.add_node({.op = &op,
                                    .attributes = std::move(attributes),
                                    .inputs = std::move(inputs),
                                    .outputs = {},
                                    .name = label(scope_, op_name),
                                    .group = scope_.group,
                                    .at = scope_.at});
  return graph_.nodes()[static_cast<std::size_t>(node)].outputs;
}

Value Builder::cast(Value x, DType type) {
  if (desc(x).type == type) return x;
  return call("cast", {x}, {{"type", std::string(name_of(type))}});
}

Value Builder::fill(const TensorDesc& desc, double value) {
  const auto extents = desc.shape.extents();
  Attributes attributes(op_named("fill").signature().attributes);
  attributes.set("value", value);
  attributes.set("type", std::string(name_of(desc.type)));
  attributes.set("rank", static_cast<std::int64_t>(extents.size()));
  for (std::size_t i = 0; i < extents.size(); ++i) attributes.set(fmt::format("extent{}", i), extents[i]);
  return call_all("fill", {}, std::move(attributes))[0];
}

bool Builder::is_fill(Value x, double value) const {
  const auto& info = graph_.info(x);
  if (info.producer < 0) return false;
  const Node& node = graph_.nodes()[static_cast<std::size_t>(info.producer)];
  return node.op->name() == "fill" && node.attributes.real("value") == value;
}

}  // namespace dermatome

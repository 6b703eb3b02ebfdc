// The op registry and the defaults of Op.
#include "engine/graph/op.h"

#include <map>

#include "engine/core/suggest.h"
#include "engine/graph/autograd.h"

namespace dermatome {
namespace {

std::map<std::string, std::unique_ptr<Op>, std::less<>>& registry() {
  static std::map<std::string, std::unique_ptr<Op>, std::less<>> instance;
  return instance;
}

}  // namespace

const TensorDesc& OpCall::input(int i) const {
  DERMATOME_CHECK(has_input(i), "input {} is missing", i);
  return *inputs_[static_cast<std::size_t>(i)];
}

void Op::gradient(GradientContext& context) const {
  fail("{} has no gradient", context.describe());
}

Cost Op::cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const {
  Cost cost;
  for (int i = 0; i < call.input_count(); ++i) {
    if (call.has_input(i)) cost.bytes += static_cast<double>(call.input(i).bytes());
  }
  for (const auto& output : outputs) cost.bytes += static_cast<double>(output.bytes());
  return cost;
}

DType Op::compute_type(const OpCall& call, const std::vector<TensorDesc>& outputs) const {
  for (const auto& output : outputs) {
    if (is_floating(output.type)) return output.type;
  }
  for (int i = 0; i < call.input_count(); ++i) {
    if (call.has_input(i) && is_floating(call.input(i).type)) return call.input(i).type;
  }
  return outputs.empty() ? DType::f32 : outputs[0].type;
}

const Op& register_op(std::unique_ptr<Op> op) {
  const std::string name = op->name();
  const auto [entry, added] = registry().emplace(name, std::move(op));
  DERMATOME_CHECK(added, "two operations are named '{}'", name);
  return *entry->second;
}

const Op* find_op(std::string_view name) {
  const auto found = registry().find(name);
  return found == registry().end() ? nullptr : found->second.get();
}

const Op& op_named(std::string_view name) {
  if (const Op* op = find_op(name)) return *op;
  std::vector<std::string> names;
  for (const auto& [known, op] : registry()) names.push_back(known);
  fail_usage("there is no operation '{}'{}", name, did_you_mean(name, names));
}

std::vector<const Op*> all_ops() {
  std::vector<const Op*> ops;
  for (const auto& [name, op] : registry()) ops.push_back(op.get());
  return ops;
}

}  // namespace dermatome

// add_relu: the end of a residual block in one pass over memory.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

class AddRelu final : public Op {
 public:
  AddRelu()
      : Op({.name = "add_relu",
            .summary = "max(a + b, 0) in one pass",
            .inputs = {follows("a"), follows("b")},
            .outputs = {{"y"}},
            .attributes = {}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    DERMATOME_CHECK(call.input(0) == call.input(1), "cannot add {} and {}", to_string(call.input(0)),
                    to_string(call.input(1)));
    return {call.input(0)};
  }
  void gradient(GradientContext& context) const override {
    const Value gradient = context.builder().call("relu_gradient", {context.upstream(), context.output(0)});
    context.set(0, gradient);
    context.set(1, gradient);
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = static_cast<double>(outputs[0].shape.elements());
    return cost;
  }
  std::vector<InPlace> in_place(const OpCall&) const override {
    return {{.output = 0, .input = 0}, {.output = 0, .input = 1}};
  }
  std::vector<Value> composition(Builder& builder, const Attributes&, const std::vector<Value>& inputs) const override {
    return {builder.call("relu", {builder.add(inputs[0], inputs[1])})};
  }
};

DERMATOME_REGISTER_OP(AddRelu);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(add_relu)

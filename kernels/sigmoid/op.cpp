// sigmoid and sigmoid_gradient.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

class Sigmoid final : public Op {
 public:
  Sigmoid()
      : Op({.name = "sigmoid",
            .summary = "1 / (1 + exp(-x))",
            .inputs = {{"x"}},
            .outputs = {{"y"}},
            .attributes = {}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    DERMATOME_CHECK(is_floating(call.input(0).type), "x must be of a floating-point type, it is {}",
                    to_string(call.input(0)));
    return {call.input(0)};
  }
  void gradient(GradientContext& context) const override {
    context.set(0, context.builder().call("sigmoid_gradient", {context.upstream(), context.output(0)}));
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = 3.0 * static_cast<double>(outputs[0].shape.elements());  // the exponential counts as one
    return cost;
  }
  std::vector<InPlace> in_place(const OpCall&) const override { return {{.output = 0, .input = 0}}; }
};

class SigmoidGradient final : public Op {
 public:
  SigmoidGradient()
      : Op({.name = "sigmoid_gradient",
            .summary = "dy * y * (1 - y)",
            .inputs = {{"dy"}, {"y"}},
            .outputs = {{"dx"}},
            .attributes = {}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    DERMATOME_CHECK(call.input(0) == call.input(1), "dy is {} but y is {}", to_string(call.input(0)),
                    to_string(call.input(1)));
    return {call.input(0)};
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = 3.0 * static_cast<double>(outputs[0].shape.elements());
    return cost;
  }
  std::vector<InPlace> in_place(const OpCall&) const override {
    return {{.output = 0, .input = 0}, {.output = 0, .input = 1}};
  }
};

DERMATOME_REGISTER_OP(Sigmoid);
DERMATOME_REGISTER_OP(SigmoidGradient);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(sigmoid)

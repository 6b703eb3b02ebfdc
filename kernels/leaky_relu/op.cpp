// leaky_relu and leaky_relu_gradient; the example of docs/adding-an-operation.md.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

AttributeSpec slope() {
  return real_attribute("slope", 0.01, 0);
}

class LeakyRelu final : public Op {
 public:
  LeakyRelu()
      : Op({.name = "leaky_relu",
            .summary = "x where x > 0, else slope * x",
            .inputs = {follows("x")},
            .outputs = {{"y"}},
            .attributes = {slope()}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override { return {call.input(0)}; }

  void gradient(GradientContext& context) const override {
    context.set(0, context.builder().call("leaky_relu_gradient", {context.upstream(), context.input(0)},
                                          {{"slope", context.attributes().real("slope")}}));
  }
};

class LeakyReluGradient final : public Op {
 public:
  LeakyReluGradient()
      : Op({.name = "leaky_relu_gradient",
            .summary = "dy where x > 0, else slope * dy",
            .inputs = {follows("dy"), follows("x")},
            .outputs = {{"dx"}},
            .attributes = {slope()}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    DERMATOME_CHECK(call.input(0) == call.input(1), "dy is {} but x is {}", to_string(call.input(0)),
                    to_string(call.input(1)));
    return {call.input(0)};
  }
};

DERMATOME_REGISTER_OP(LeakyRelu);
DERMATOME_REGISTER_OP(LeakyReluGradient);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(leaky_relu)

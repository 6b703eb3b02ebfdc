// relu and relu_gradient.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

class Relu final : public Op {
 public:
  Relu()
      : Op({.name = "relu", .summary = "max(x, 0)", .inputs = {follows("x")}, .outputs = {{"y"}}, .attributes = {}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override { return {call.input(0)}; }
  void gradient(GradientContext& context) const override {
    context.set(0, context.builder().call("relu_gradient", {context.upstream(), context.output(0)}));
  }
  std::vector<InPlace> in_place(const OpCall&) const override { return {{.output = 0, .input = 0}}; }
};

class ReluGradient final : public Op {
 public:
  ReluGradient()
      : Op({.name = "relu_gradient",
            .summary = "dy where y > 0, else 0",
            .inputs = {follows("dy"), follows("y")},
            .outputs = {{"dx"}},
            .attributes = {}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    DERMATOME_CHECK(call.input(0) == call.input(1), "dy is {} but y is {}", to_string(call.input(0)),
                    to_string(call.input(1)));
    return {call.input(0)};
  }
  std::vector<InPlace> in_place(const OpCall&) const override {
    return {{.output = 0, .input = 0}, {.output = 0, .input = 1}};
  }
};

DERMATOME_REGISTER_OP(Relu);
DERMATOME_REGISTER_OP(ReluGradient);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(relu)

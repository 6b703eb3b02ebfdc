// add: one of the core ops that autograd emits itself.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

class Add final : public Op {
 public:
  Add()
      : Op({.name = "add",
            .summary = "sum of two tensors of one shape",
            .inputs = {follows("a"), follows("b")},
            .outputs = {{"sum"}},
            .attributes = {}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    DERMATOME_CHECK(call.input(0) == call.input(1), "cannot add {} and {}", to_string(call.input(0)),
                    to_string(call.input(1)));
    return {call.input(0)};
  }
  void gradient(GradientContext& context) const override {
    context.set(0, context.upstream());
    context.set(1, context.upstream());
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = static_cast<double>(outputs[0].shape.elements());
    return cost;
  }
  std::vector<InPlace> in_place(const OpCall&) const override {
    return {{.output = 0, .input = 0}, {.output = 0, .input = 1}};
  }
};

DERMATOME_REGISTER_OP(Add);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(add)

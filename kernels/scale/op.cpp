// scale: one of the core ops that autograd emits itself.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

AttributeSpec factor_attribute() {
  AttributeSpec factor = real_attribute("factor", 1);
  factor.required = true;
  return factor;
}

class Scale final : public Op {
 public:
  Scale()
      : Op({.name = "scale",
            .summary = "factor * x",
            .inputs = {follows("x")},
            .outputs = {{"y"}},
            .attributes = {factor_attribute()}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    DERMATOME_CHECK(is_floating(call.input(0).type), "x must be of a floating-point type, it is {}",
                    to_string(call.input(0)));
    return {call.input(0)};
  }
  void gradient(GradientContext& context) const override {
    context.set(0, context.builder().scale(context.upstream(), context.attributes().real("factor")));
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = static_cast<double>(outputs[0].shape.elements());
    return cost;
  }
  std::vector<InPlace> in_place(const OpCall&) const override { return {{.output = 0, .input = 0}}; }
};

DERMATOME_REGISTER_OP(Scale);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(scale)

// global_average_pool and its gradient.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

class GlobalAveragePool final : public Op {
 public:
  GlobalAveragePool()
      : Op({.name = "global_average_pool",
            .summary = "mean over the pixels of each image: [N, H, W, C] to [N, C]",
            .inputs = {follows("x")},
            .outputs = {{"y"}},
            .attributes = {}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& x = call.input(0);
    DERMATOME_CHECK(x.shape.rank() == 4 && is_floating(x.type) && x.shape[1] * x.shape[2] > 0,
                    "x must be [N, H, W, C] of a floating-point type with at least one pixel, it is {}", to_string(x));
    return {{x.type, {x.shape[0], x.shape[3]}}};
  }
  void gradient(GradientContext& context) const override {
    const Shape shape = context.desc(context.input(0)).shape;
    context.set(0, context.builder().call("global_average_pool_gradient", {context.upstream()},
                                          {{"height", shape[1]}, {"width", shape[2]}}));
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = static_cast<double>(call.shape(0).elements());
    return cost;
  }
};

class GlobalAveragePoolGradient final : public Op {
 public:
  GlobalAveragePoolGradient()
      : Op({.name = "global_average_pool_gradient",
            .summary = "dy / (H * W) at every pixel",
            .inputs = {follows("dy")},
            .outputs = {{"dx"}},
            .attributes = {required_integer("height", 1), required_integer("width", 1)}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& dy = call.input(0);
    DERMATOME_CHECK(dy.shape.rank() == 2 && is_floating(dy.type),
                    "dy must be [N, C] of a floating-point type, it is {}", to_string(dy));
    const Attributes& a = call.attributes;
    return {{dy.type, {dy.shape[0], a.integer("height"), a.integer("width"), dy.shape[1]}}};
  }
};

DERMATOME_REGISTER_OP(GlobalAveragePool);
DERMATOME_REGISTER_OP(GlobalAveragePoolGradient);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(global_average_pool)

// upsample_bilinear: brings probabilities to a photograph's own pixels. It is used after the network, so it has no
// gradient.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

class UpsampleBilinear final : public Op {
 public:
  UpsampleBilinear()
      : Op({.name = "upsample_bilinear",
            .summary = "x at height x width pixels, bilinear with half-pixel centres; also downwards, without a filter",
            .inputs = {follows("x")},
            .outputs = {{"y"}},
            .attributes = {required_integer("height", 1), required_integer("width", 1)}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& x = call.input(0);
    DERMATOME_CHECK(x.shape.rank() == 4 && is_floating(x.type) && x.shape[1] > 0 && x.shape[2] > 0,
                    "x must be [N, H, W, C] of a floating-point type with at least one pixel, it is {}", to_string(x));
    const Attributes& a = call.attributes;
    return {{x.type, {x.shape[0], a.integer("height"), a.integer("width"), x.shape[3]}}};
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = 9.0 * static_cast<double>(outputs[0].shape.elements());  // three mixes
    return cost;
  }
};

DERMATOME_REGISTER_OP(UpsampleBilinear);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(upsample_bilinear)

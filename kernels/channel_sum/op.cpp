// channel_sum: the bias gradient of a layer without a primitive that gives it.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

class ChannelSum final : public Op {
 public:
  ChannelSum()
      : Op({.name = "channel_sum",
            .summary = "sum over all but the last axis: [.., C] to [C]",
            .inputs = {follows("x")},
            .outputs = {{.name = "sum", .differentiable = false}},
            .attributes = {}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& x = call.input(0);
    DERMATOME_CHECK(x.shape.rank() > 0 && is_floating(x.type), "x must be [.., C] of a floating-point type, it is {}",
                    to_string(x));
    return {{x.type == DType::f64 ? DType::f64 : DType::f32, {x.shape[-1]}}};
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = static_cast<double>(call.shape(0).elements());
    return cost;
  }
  DType compute_type(const OpCall& call, const std::vector<TensorDesc>&) const override { return call.input(0).type; }
};

DERMATOME_REGISTER_OP(ChannelSum);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(channel_sum)

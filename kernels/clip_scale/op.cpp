// clip_scale: by what gradients must be multiplied so that their norm, taken over all of them, stays below a bound.
#include "engine/graph/op.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

class ClipScale final : public Op {
 public:
  ClipScale()
      : Op({.name = "clip_scale",
            .summary = "min(1, max_norm / norm) of all tensors together: the factor of clipping by the global norm",
            .inputs = {{.name = "tensors", .variadic = true}},
            .outputs = {{.name = "scale", .differentiable = false}},
            .attributes = {real_attribute("max_norm", 1, 0)}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    DERMATOME_CHECK(call.input_count() > 0, "takes one tensor at least");
    for (int i = 0; i < call.input_count(); ++i) {
      DERMATOME_CHECK(is_floating(call.input(i).type) && call.input(i).type == call.input(0).type,
                      "tensor {} is {} but the first {}", i, to_string(call.input(i)), to_string(call.input(0)));
    }
    return {{call.input(0).type, {1}}};
  }

  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    for (int i = 0; i < call.input_count(); ++i) cost.flops += 2.0 * static_cast<double>(call.shape(i).elements());
    return cost;
  }
};

DERMATOME_REGISTER_OP(ClipScale);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(clip_scale)

// cast: one of the core ops that autograd emits itself.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

class Cast final : public Op {
 public:
  Cast()
      : Op({.name = "cast",
            .summary = "x in another element type: any into a floating-point one, rounded to nearest even",
            .inputs = {follows("x")},
            .outputs = {{"y"}},
            .attributes = {choice_attribute("type", {"f32", "bf16", "f64", "u8", "i32"}, "f32")}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const DType type = parse_dtype(call.attributes.choice("type"));
    DERMATOME_CHECK(is_floating(type), "cannot cast {} to {}: only casts to f32, bf16 and f64 exist",
                    to_string(call.input(0)), name_of(type));
    return {{type, call.shape(0)}};
  }
  void gradient(GradientContext& context) const override {
    const DType type = context.desc(context.input(0)).type;
    if (is_floating(type)) context.set(0, context.builder().cast(context.upstream(), type));
  }
};

DERMATOME_REGISTER_OP(Cast);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(cast)

// bce_with_logits, the loss of segmentation, and multiply_by_scalar, which its gradient uses.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

void check_one_number(const TensorDesc& desc, DType type, std::string_view name) {
  const TensorDesc wanted{type, {1}};
  DERMATOME_CHECK(desc == wanted, "{} must be {}, it is {}", name, to_string(wanted), to_string(desc));
}

class BceWithLogits final : public Op {
 public:
  BceWithLogits()
      : Op({.name = "bce_with_logits",
            .summary = "sum of the binary cross-entropies of all pixels over divisor; TP, FP, FN, TN of each image",
            .inputs = {{"logits"}, {"target"}, {"divisor"}},
            .outputs = {{"loss"},
                        {.name = "counts", .differentiable = false},
                        {.name = "unit_gradient", .differentiable = false}},
            .attributes = {}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& logits = call.input(0);
    DERMATOME_CHECK(logits.shape.rank() == 4 && logits.shape[3] == 1 && is_floating(logits.type),
                    "logits must be [N, H, W, 1] of a floating-point type, they are {}", to_string(logits));
    DERMATOME_CHECK(call.input(1) == logits, "logits are {} but target is {}", to_string(logits),
                    to_string(call.input(1)));
    check_one_number(call.input(2), logits.type, "divisor");
    return {{logits.type, {1}}, {DType::i32, {logits.shape[0], 4}}, logits};
  }

  // The slope by the logits is a by-product of the loss. Those by target, -x / divisor, and by divisor,
  // -loss / divisor, are there for completeness.
  void gradient(GradientContext& context) const override {
    Builder& builder = context.builder();
    const Value upstream = context.upstream();
    if (context.wants(0)) {
      const Value unit_gradient = context.output(2);
      const bool unit = builder.is_fill(upstream, 1.0);
      context.set(0, unit ? unit_gradient : builder.call("multiply_by_scalar", {unit_gradient, upstream}));
    }
    for (const int i : {1, 2}) {
      if (!context.wants(i)) continue;
      const Value negative = builder.scale(i == 1 ? context.input(0) : context.output(0), -1.0);
      context.set(i, builder.call("multiply_by_scalar", {negative, upstream, context.input(2)}));
    }
  }

  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = 10.0 * static_cast<double>(call.shape(0).elements());  // exponential and logarithm count as one each
    return cost;
  }
  std::vector<InPlace> in_place(const OpCall&) const override {
    return {{.output = 2, .input = 0}, {.output = 2, .input = 1}};
  }
};

class MultiplyByScalar final : public Op {
 public:
  MultiplyByScalar()
      : Op({.name = "multiply_by_scalar",
            .summary = "x * factor / divisor, where both are tensors of one number",
            .inputs = {{"x"}, {"factor"}, {.name = "divisor", .optional = true}},
            .outputs = {{"y"}},
            .attributes = {}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& x = call.input(0);
    DERMATOME_CHECK(is_floating(x.type), "x must be of a floating-point type, it is {}", to_string(x));
    check_one_number(call.input(1), x.type, "factor");
    if (call.has_input(2)) check_one_number(call.input(2), x.type, "divisor");
    return {x};
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = static_cast<double>(outputs[0].shape.elements());
    return cost;
  }
  std::vector<InPlace> in_place(const OpCall&) const override { return {{.output = 0, .input = 0}}; }
};

DERMATOME_REGISTER_OP(BceWithLogits);
DERMATOME_REGISTER_OP(MultiplyByScalar);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(bce_with_logits)

// segmentation_loss: weighted sums of the losses of segmentation, with their gradient and the counts of each image.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

AttributeSpec weight(std::string name) {
  return real_attribute(std::move(name), 0, 0, 1e6);
}

// The sums are over all pixels of the batch; over `divisor`, which is the pixels of the whole step. A term of a region
// counts as many pixels as the region has: so a step's loss is the mean over its images, however they are batched.
class SegmentationLoss final : public Op {
 public:
  SegmentationLoss()
      : Op({.name = "segmentation_loss",
            .summary =
                "weighted sum of cross-entropy, focal, soft Jaccard and Dice losses; TP, FP, FN, TN of each image",
            .inputs = {{"logits"}, {"target"}, {"divisor"}},
            .outputs = {{"loss"},
                        {.name = "counts", .differentiable = false},
                        {.name = "unit_gradient", .differentiable = false}},
            .attributes = {weight("bce"), weight("focal"), weight("jaccard"), weight("log_jaccard"), weight("dice"),
                           real_attribute("gamma", 2, 0, 100), real_attribute("alpha", 0.25, 0, 1),
                           real_attribute("epsilon", 1, 1e-6, 1e9),
                           choice_attribute("over", {"image", "batch"}, "image")}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& logits = call.input(0);
    DERMATOME_CHECK(logits.shape.rank() == 4 && logits.shape[3] == 1 && is_floating(logits.type),
                    "logits must be [N, H, W, 1] of a floating-point type, they are {}", to_string(logits));
    DERMATOME_CHECK(call.input(1) == logits, "logits are {} but target is {}", to_string(logits),
                    to_string(call.input(1)));
    DERMATOME_CHECK((call.input(2) == TensorDesc{logits.type, {1}}), "divisor must be {}, it is {}",
                    to_string(TensorDesc{logits.type, {1}}), to_string(call.input(2)));
    double weights = 0;
    for (const char* term : {"bce", "focal", "jaccard", "log_jaccard", "dice"}) weights += call.attributes.real(term);
    DERMATOME_CHECK(weights > 0, "all terms of the loss have weight 0");
    return {{logits.type, {1}}, {DType::i32, {logits.shape[0], 4}}, logits};
  }

  // The slope by the logits is a by-product of the loss; that by the divisor, -loss / divisor, is there for
  // completeness.
  void gradient(GradientContext& context) const override {
    Builder& builder = context.builder();
    const Value upstream = context.upstream();
    DERMATOME_CHECK(!context.wants(1), "segmentation_loss has no gradient by its target");
    if (context.wants(0)) {
      const Value unit_gradient = context.output(2);
      const bool unit = builder.is_fill(upstream, 1.0);
      context.set(0, unit ? unit_gradient : builder.call("multiply_by_scalar", {unit_gradient, upstream}));
    }
    if (context.wants(2)) {
      const Value negative = builder.scale(context.output(0), -1.0);
      context.set(2, builder.call("multiply_by_scalar", {negative, upstream, context.input(2)}));
    }
  }

  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = 20.0 * static_cast<double>(call.shape(0).elements());  // exponential and logarithm count as one each
    return cost;
  }
  std::vector<InPlace> in_place(const OpCall&) const override {
    return {{.output = 2, .input = 0}, {.output = 2, .input = 1}};
  }
};

DERMATOME_REGISTER_OP(SegmentationLoss);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(segmentation_loss)

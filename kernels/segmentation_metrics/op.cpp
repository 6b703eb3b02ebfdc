// confusion_counts and segmentation_metrics.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

AttributeSpec truth_threshold_attribute() {
  AttributeSpec threshold = integer_attribute("truth_threshold", 128, 0);
  threshold.maximum = 254;
  return threshold;
}

class ConfusionCounts final : public Op {
 public:
  ConfusionCounts()
      : Op({.name = "confusion_counts",
            .summary = "TP, FP, FN, TN of each image: probability > threshold against truth > truth_threshold",
            .inputs = {{"probability"}, {"truth"}},
            .outputs = {{.name = "counts", .differentiable = false}},
            .attributes = {real_attribute("threshold", 0.5), truth_threshold_attribute()}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& probability = call.input(0);
    DERMATOME_CHECK(probability.shape.rank() == 4 && probability.shape[3] == 1 && is_floating(probability.type),
                    "probability must be [N, H, W, 1] of a floating-point type, it is {}", to_string(probability));
    DERMATOME_CHECK(call.input(1) == (TensorDesc{DType::u8, probability.shape}), "probability is {} but truth is {}",
                    to_string(probability), to_string(call.input(1)));
    return {{DType::i32, {probability.shape[0], 4}}};
  }
};

class SegmentationMetrics final : public Op {
 public:
  SegmentationMetrics()
      : Op({.name = "segmentation_metrics",
            .summary = "Jaccard, Jaccard or 0 below 0.65, Dice, accuracy, sensitivity, specificity from TP, FP, FN, TN",
            .inputs = {{"counts"}},
            .outputs = {{.name = "scores", .differentiable = false}},
            .attributes = {}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& counts = call.input(0);
    DERMATOME_CHECK(counts.type == DType::i32 && counts.shape.rank() == 2 && counts.shape[1] == 4,
                    "counts must be i32[N, 4], they are {}", to_string(counts));
    return {{DType::f32, {counts.shape[0], 6}}};
  }
};

DERMATOME_REGISTER_OP(ConfusionCounts);
DERMATOME_REGISTER_OP(SegmentationMetrics);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(segmentation_metrics)

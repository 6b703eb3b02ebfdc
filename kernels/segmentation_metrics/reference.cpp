// confusion_counts and segmentation_metrics, the specification.
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"
#include "kernels/segmentation_metrics/math.h"

namespace dermatome {
namespace {

template <typename T>
void count(const Call& call) {
  const T* probability = launch::in<T>(call, 0);
  const std::uint8_t* truth = launch::in<std::uint8_t>(call, 1);
  std::int32_t* counts = launch::out<std::int32_t>(call, 0);
  const T threshold = static_cast<T>(launch::real(call, segmentation_metrics::kThreshold));
  const std::int64_t truth_threshold = launch::integer(call, segmentation_metrics::kTruthThreshold);
  const std::int64_t pixels = call.inputs[0].extent[1] * call.inputs[0].extent[2];
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) counts[i] = 0;
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) {
    const bool predicted = probability[i] > threshold;
    const bool lesion = truth[i] > truth_threshold;
    const int column = predicted && lesion ? 0 : predicted ? 1 : lesion ? 2 : 3;
    ++counts[i / pixels * 4 + column];
  }
}

void score(const Call& call) {
  const std::int32_t* counts = launch::in<std::int32_t>(call, 0);
  float* scores = launch::out<float>(call, 0);
  for (std::int64_t n = 0; n < call.inputs[0].extent[0]; ++n) {
    const double tp = counts[4 * n], fp = counts[4 * n + 1], fn = counts[4 * n + 2], tn = counts[4 * n + 3];
    const double jaccard = tp + fp + fn > 0 ? tp / (tp + fp + fn) : 1;
    const double dice = tp + fp + fn > 0 ? 2 * tp / (2 * tp + fp + fn) : 1;
    const double accuracy = tp + fp + fn + tn > 0 ? (tp + tn) / (tp + fp + fn + tn) : 1;
    const double sensitivity = tp + fn > 0 ? tp / (tp + fn) : 1;
    const double specificity = tn + fp > 0 ? tn / (tn + fp) : 1;
    const double values[6] = {jaccard, jaccard >= 0.65 ? jaccard : 0, dice, accuracy, sensitivity, specificity};
    for (int k = 0; k < 6; ++k) scores[6 * n + k] = static_cast<float>(values[k]);
  }
}

DERMATOME_REFERENCE({"confusion_counts", DType::f32, count<float>}, {"confusion_counts", DType::f64, count<double>},
                    {"segmentation_metrics", DType::f32, score});

}  // namespace
}  // namespace dermatome

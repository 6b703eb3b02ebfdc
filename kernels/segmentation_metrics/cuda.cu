// confusion_counts and segmentation_metrics on CUDA.
#include "kernels/launch/cuda.cuh"
#include "kernels/segmentation_metrics/math.h"

namespace dermatome::segmentation_metrics {
namespace {

using launch::cuda::Index;

constexpr int kTerms = 3;  // pixels that are lesion in the prediction, in the truth, and in both

Index pixels_of(const Call& call) {
  return call.inputs[0].extent[1] * call.inputs[0].extent[2];
}

std::int64_t workspace(const Call& call) {
  return launch::cuda::reduce_images_workspace<std::int32_t, kTerms>(call.inputs[0].extent[0], pixels_of(call));
}

void run_counts(const Call& call) {
  const float* probability = launch::in<float>(call, 0);
  const std::uint8_t* truth = launch::in<std::uint8_t>(call, 1);
  std::int32_t* counts = launch::out<std::int32_t>(call, 0);
  const float threshold = static_cast<float>(launch::real(call, kThreshold));
  const int truth_threshold = static_cast<int>(launch::integer(call, kTruthThreshold));
  const Index pixels = pixels_of(call);
  launch::cuda::reduce_images<std::int32_t, kTerms>(
      call, call.inputs[0].extent[0], pixels, call.workspace,
      DERMATOME_LAMBDA(Index image, Index i, std::int32_t * terms) {
        const Index at = image * pixels + i;
        terms[0] = probability[at] > threshold ? 1 : 0;
        terms[1] = truth[at] > truth_threshold ? 1 : 0;
        terms[2] = terms[0] & terms[1];
      },
      DERMATOME_LAMBDA(Index image, const double* sums) {
        const auto predicted = static_cast<std::int32_t>(sums[0]);
        const auto lesion = static_cast<std::int32_t>(sums[1]);
        const auto both = static_cast<std::int32_t>(sums[2]);
        std::int32_t* row = counts + image * kCounts;
        row[0] = both;
        row[1] = predicted - both;
        row[2] = lesion - both;
        row[3] = static_cast<std::int32_t>(pixels) - predicted - lesion + both;
      });
}

void run_scores(const Call& call) {
  const std::int32_t* counts = launch::in<std::int32_t>(call, 0);
  float* scores = launch::out<float>(call, 0);
  launch::cuda::for_each(
      call, call.inputs[0].extent[0], DERMATOME_LAMBDA(Index n) { score(counts + n * kCounts, scores + n * kScores); });
}

}  // namespace
}  // namespace dermatome::segmentation_metrics

DERMATOME_CUDA_TABLE(segmentation_metrics,
                     {"confusion_counts", DType::f32, segmentation_metrics::run_counts,
                      segmentation_metrics::workspace},
                     {"segmentation_metrics", DType::f32, segmentation_metrics::run_scores})

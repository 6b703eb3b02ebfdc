// confusion_counts and segmentation_metrics on the CPU. Images are cut into chunks: at the size of a photograph one
// image is work for all threads.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"
#include "kernels/segmentation_metrics/math.h"

namespace dermatome::segmentation_metrics {
namespace {

using launch::Index;

constexpr Index kChunkPixels = 16384;

// Pixels that are lesion in the prediction, in the truth, and in both; the workspace is an array of these.
struct Partial {
  std::int32_t predicted;
  std::int32_t lesion;
  std::int32_t both;
};

Index pixels_of(const Call& call) {
  return call.inputs[0].extent[1] * call.inputs[0].extent[2];
}
Index chunks_of_image(const Call& call) {
  return (pixels_of(call) + kChunkPixels - 1) / kChunkPixels;
}

std::int64_t workspace(const Call& call) {
  return call.inputs[0].extent[0] * chunks_of_image(call) * static_cast<std::int64_t>(sizeof(Partial));
}

Partial count_pixels(const float* probability, const std::uint8_t* truth, Index count, float threshold,
                     int truth_threshold) {
  std::int32_t predicted = 0, lesion = 0, both = 0;
#pragma omp simd reduction(+ : predicted, lesion, both)
  for (Index i = 0; i < count; ++i) {
    const std::int32_t p = probability[i] > threshold ? 1 : 0;
    const std::int32_t t = truth[i] > truth_threshold ? 1 : 0;
    predicted += p;
    lesion += t;
    both += p & t;
  }
  return {predicted, lesion, both};
}

void run_counts(const Call& call) {
  const float* probability = launch::in<float>(call, 0);
  const std::uint8_t* truth = launch::in<std::uint8_t>(call, 1);
  std::int32_t* counts = launch::out<std::int32_t>(call, 0);
  Partial* partials = static_cast<Partial*>(call.workspace);
  const float threshold = static_cast<float>(launch::real(call, kThreshold));
  const int truth_threshold = static_cast<int>(launch::integer(call, kTruthThreshold));
  const Index images = call.inputs[0].extent[0], pixels = pixels_of(call), chunks = chunks_of_image(call);
  launch::for_each_row(images * chunks, kChunkPixels, [=](Index row) {
    const Index begin = row % chunks * kChunkPixels;
    const Index count = pixels - begin < kChunkPixels ? pixels - begin : kChunkPixels;
    const Index at = row / chunks * pixels + begin;
    partials[row] = count_pixels(probability + at, truth + at, count, threshold, truth_threshold);
  });
  for (Index n = 0; n < images; ++n) {
    Partial total = {};
    for (Index chunk = 0; chunk < chunks; ++chunk) {
      const Partial& partial = partials[n * chunks + chunk];
      total.predicted += partial.predicted;
      total.lesion += partial.lesion;
      total.both += partial.both;
    }
    std::int32_t* row = counts + n * kCounts;
    row[0] = total.both;
    row[1] = total.predicted - total.both;
    row[2] = total.lesion - total.both;
    row[3] = static_cast<std::int32_t>(pixels) - total.predicted - total.lesion + total.both;
  }
}

void run_scores(const Call& call) {
  const std::int32_t* counts = launch::in<std::int32_t>(call, 0);
  float* scores = launch::out<float>(call, 0);
  launch::for_each_row(call.inputs[0].extent[0], kScores,
                       [=](Index n) { score(counts + n * kCounts, scores + n * kScores); });
}

}  // namespace
}  // namespace dermatome::segmentation_metrics

DERMATOME_CPU_TABLE(segmentation_metrics,
                    {"confusion_counts", DType::f32, segmentation_metrics::run_counts, segmentation_metrics::workspace},
                    {"segmentation_metrics", DType::f32, segmentation_metrics::run_scores})

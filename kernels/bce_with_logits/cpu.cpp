// bce_with_logits and multiply_by_scalar on the CPU. An image is cut into chunks, so that one image is enough work for
// all threads; chunks are added in order.
#include "kernels/launch/cpu.h"
#include "kernels/bce_with_logits/math.h"
#include "kernels/launch/table.h"

namespace dermatome::bce_with_logits {
namespace {

using launch::Index;

constexpr Index kChunkPixels = 4096;

// What one chunk contributes; the workspace is an array of these.
struct Partial {
  double loss;
  std::int32_t counts[4];
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

// Pixels that are computed side by side; their losses are added up in kSums sums, whatever the vectors' length.
constexpr Index kBlock = 128;
constexpr Index kSums = 8;

// `unit_gradient` may be null.
void add_block(const float* logits, const float* target, Index count, float divisor, float* unit_gradient,
               Partial& partial) {
  float losses[kBlock] = {};
  float slopes[kBlock];
  std::int32_t predicted = 0, truth = 0, both = 0;
#pragma omp simd reduction(+ : predicted, truth, both)
  for (Index i = 0; i < count; ++i) {
    const float x = logits[i], t = target[i];
    const PixelLoss<float> pixel = pixel_loss(x, t);
    losses[i] = pixel.loss;
    slopes[i] = pixel.slope / divisor;
    predicted += is_predicted(x) ? 1 : 0;
    truth += is_truth(t) ? 1 : 0;
    both += is_predicted(x) && is_truth(t) ? 1 : 0;
  }
  for (Index i = 0; unit_gradient != nullptr && i < count; ++i) unit_gradient[i] = slopes[i];
  partial.counts[kTruePositive] += both;
  partial.counts[kFalsePositive] += predicted - both;
  partial.counts[kFalseNegative] += truth - both;
  partial.counts[kTrueNegative] += static_cast<std::int32_t>(count) - predicted - truth + both;
  double sums[kSums] = {};
  for (Index i = 0; i < kBlock; i += kSums) {
#pragma omp simd
    for (Index k = 0; k < kSums; ++k) sums[k] += static_cast<double>(losses[i + k]);
  }
  for (const double sum : sums) partial.loss += sum;
}

void run_loss(const Call& call) {
  const float* logits = launch::in<float>(call, 0);
  const float* target = launch::in<float>(call, 1);
  const float divisor = launch::in<float>(call, 2)[0];
  float* loss = launch::out<float>(call, 0);
  std::int32_t* counts = launch::out<std::int32_t>(call, 1);
  float* unit_gradient = launch::out<float>(call, 2);
  Partial* partials = static_cast<Partial*>(call.workspace);
  const Index images = call.inputs[0].extent[0], pixels = pixels_of(call), chunks = chunks_of_image(call);

  launch::for_each_row(images * chunks, kChunkPixels, [=](Index row) {
    const Index begin = row % chunks * kChunkPixels;
    const Index end = begin + kChunkPixels < pixels ? begin + kChunkPixels : pixels;
    const Index image = row / chunks * pixels;
    Partial partial = {};
    for (Index i = image + begin; i < image + end; i += kBlock) {
      const Index count = image + end - i < kBlock ? image + end - i : kBlock;
      add_block(logits + i, target + i, count, divisor, unit_gradient == nullptr ? nullptr : unit_gradient + i,
                partial);
    }
    partials[row] = partial;
  });

  double sum = 0;
  for (Index n = 0; n < images; ++n) {
    Partial total = {};
    for (Index chunk = 0; chunk < chunks; ++chunk) {
      const Partial& partial = partials[n * chunks + chunk];
      total.loss += partial.loss;
      for (int k = 0; k < 4; ++k) total.counts[k] += partial.counts[k];
    }
    sum += total.loss;
    for (int k = 0; counts != nullptr && k < 4; ++k) counts[n * 4 + k] = total.counts[k];
  }
  if (loss != nullptr) loss[0] = static_cast<float>(sum / static_cast<double>(divisor));
}

void run_multiply(const Call& call) {
  const float* x = launch::in<float>(call, 0);
  const float factor = launch::in<float>(call, 1)[0];
  const float divisor = call.inputs[2].data == nullptr ? 1.0f : launch::in<float>(call, 2)[0];
  float* y = launch::out<float>(call, 0);
  launch::for_each(call.outputs[0].elements, [=](Index i) { y[i] = x[i] * factor / divisor; });
}

}  // namespace
}  // namespace dermatome::bce_with_logits

DERMATOME_CPU_TABLE(bce_with_logits,
                    {"bce_with_logits", DType::f32, bce_with_logits::run_loss, bce_with_logits::workspace},
                    {"multiply_by_scalar", DType::f32, bce_with_logits::run_multiply})

// bce_with_logits and multiply_by_scalar on CUDA. Loss, its gradient and the counts of an image come from one read.
#include "kernels/bce_with_logits/math.h"
#include "kernels/launch/cuda.cuh"

namespace dermatome::bce_with_logits {
namespace {

using launch::cuda::Index;

constexpr int kTerms = 5;  // the loss, then the four counts; within one block's partial sum a float counts exactly

Index pixels_of(const Call& call) {
  return call.inputs[0].extent[1] * call.inputs[0].extent[2];
}

// The images' losses come first.
Index loss_bytes(const Call& call) {
  return call.inputs[0].extent[0] * static_cast<Index>(sizeof(double));
}
std::int64_t workspace(const Call& call) {
  return loss_bytes(call) +
         launch::cuda::reduce_images_workspace<float, kTerms>(call.inputs[0].extent[0], pixels_of(call));
}

void run_loss(const Call& call) {
  const float* logits = launch::in<float>(call, 0);
  const float* target = launch::in<float>(call, 1);
  const float* divisor = launch::in<float>(call, 2);
  float* loss = launch::out<float>(call, 0);
  std::int32_t* counts = launch::out<std::int32_t>(call, 1);
  float* unit_gradient = launch::out<float>(call, 2);
  auto* losses = static_cast<double*>(call.workspace);
  const Index images = call.inputs[0].extent[0], pixels = pixels_of(call);
  launch::cuda::reduce_images<float, kTerms>(
      call, images, pixels, static_cast<unsigned char*>(call.workspace) + loss_bytes(call),
      DERMATOME_LAMBDA(Index image, Index i, float* terms) {
        const Index at = image * pixels + i;
        const float x = logits[at], t = target[at];
        const PixelLoss<float> pixel = pixel_loss(x, t);
        const int count = count_of(x, t);
        terms[0] = pixel.loss;
        for (int k = 0; k < 4; ++k) terms[1 + k] = k == count ? 1.0f : 0.0f;
        if (unit_gradient != nullptr) unit_gradient[at] = pixel.slope / divisor[0];
      },
      DERMATOME_LAMBDA(Index image, const double* sums) {
        losses[image] = sums[0];
        for (int k = 0; counts != nullptr && k < 4; ++k) {
          counts[image * 4 + k] = static_cast<std::int32_t>(sums[1 + k]);
        }
      });
  if (loss == nullptr) return;
  launch::cuda::for_each(
      call, 1, DERMATOME_LAMBDA(Index) {
        double sum = 0;
        for (Index n = 0; n < images; ++n) sum += losses[n];
        loss[0] = static_cast<float>(sum / static_cast<double>(divisor[0]));
      });
}

void run_multiply(const Call& call) {
  const float* factor = launch::in<float>(call, 1);
  const float* divisor = call.input_count > 2 ? launch::in<float>(call, 2) : nullptr;
  launch::cuda::map(
      call, call.outputs[0].elements, launch::out<float>(call, 0),
      DERMATOME_LAMBDA(Index, float x) { return x * factor[0] / (divisor == nullptr ? 1.0f : divisor[0]); },
      launch::in<float>(call, 0));
}

}  // namespace
}  // namespace dermatome::bce_with_logits

DERMATOME_CUDA_TABLE(bce_with_logits,
                     {"bce_with_logits", DType::f32, bce_with_logits::run_loss, bce_with_logits::workspace},
                     {"multiply_by_scalar", DType::f32, bce_with_logits::run_multiply})

// augment on CUDA: a warp, the mean of each warped image, and a pass of lighting and normalisation.
#include "kernels/augment/math.h"
#include "kernels/launch/cuda.cuh"

namespace dermatome::augment {
namespace {

using launch::cuda::Index;

constexpr int kChannels = 3;

Index pixels_of(const Call& call) {
  return call.inputs[0].extent[1] * call.inputs[0].extent[2];
}
Index mean_bytes(const Call& call) {
  return (call.inputs[2].elements * static_cast<Index>(sizeof(float)) + 63) / 64 * 64;
}
std::int64_t workspace(const Call& call) {
  return mean_bytes(call) +
         launch::cuda::reduce_images_workspace<float, 1>(call.inputs[2].elements, pixels_of(call) * kChannels);
}

struct Normalisation {
  float mean[kChannels], factor[kChannels];
};

// The warped image in [0, 1], and the target.
void warp(const Call& call, float* image, float* target) {
  const auto* images = launch::in<unsigned char>(call, 0);
  const auto* masks = launch::in<unsigned char>(call, 1);
  const auto* indices = launch::in<std::int32_t>(call, 2);
  const float* tables = launch::in<float>(call, 3);
  const Index height = call.inputs[0].extent[1];
  const Index width = call.inputs[0].extent[2];
  const bool reflect_mask = launch::integer(call, kReflectMask) != 0;
  launch::cuda::for_each_cell(
      call, call.inputs[2].elements * height, width, DERMATOME_LAMBDA(Index line, Index x) {
        const Index n = line / height;
        const Index row = line % height;
        const Index photograph = indices[n] * height * width;
        const auto p = source_of(tables + n * kTableSize, static_cast<float>(x), static_cast<float>(row));
        const Index at = line * width + x;
        if (target != nullptr) target[at] = mask_at(masks + photograph, p, width, height, reflect_mask);
        if (image == nullptr) return;
        const auto b = bilinear(p, width, height);
        const unsigned char* top = images + (photograph + b.y0 * width) * kChannels;
        const unsigned char* bottom = images + (photograph + b.y1 * width) * kChannels;
        for (int c = 0; c < kChannels; ++c) {
          image[at * kChannels + c] = interpolate<float>(b, top[b.x0 * kChannels + c], top[b.x1 * kChannels + c],
                                                         bottom[b.x0 * kChannels + c], bottom[b.x1 * kChannels + c]) *
                                      (1.0f / 255.0f);
        }
      });
}

void run(const Call& call) {
  const float* tables = launch::in<float>(call, 3);
  float* image = launch::out<float>(call, 0);
  warp(call, image, launch::out<float>(call, 1));
  if (image == nullptr) return;
  const Index samples = call.inputs[2].elements;
  const Index values = pixels_of(call) * kChannels;
  auto* means = static_cast<float*>(call.workspace);
  launch::cuda::reduce_images<float, 1>(
      call, samples, values, static_cast<unsigned char*>(call.workspace) + mean_bytes(call),
      DERMATOME_LAMBDA(Index n, Index i, float* terms) { terms[0] = image[n * values + i]; },
      DERMATOME_LAMBDA(Index n, const double* sums) {
        means[n] = static_cast<float>(sums[0] / static_cast<double>(values));
      });
  Normalisation normal;
  for (int c = 0; c < kChannels; ++c) {
    normal.mean[c] = static_cast<float>(launch::real(call, kMean + c));
    normal.factor[c] = static_cast<float>(1.0 / launch::real(call, kDeviation + c));
  }
  launch::cuda::for_each_cell(
      call, samples, pixels_of(call), DERMATOME_LAMBDA(Index n, Index pixel) {
        const float* table = tables + n * kTableSize;
        float* to = image + n * values + pixel * kChannels;
        for (int c = 0; c < kChannels; ++c) {
          const float lit = light(to[c], means[n], table[kBrightness], table[kContrast]);
          to[c] = (lit - normal.mean[c]) * normal.factor[c];
        }
      });
}

}  // namespace
}  // namespace dermatome::augment

DERMATOME_CUDA_TABLE(augment, {"augment", DType::f32, augment::run, augment::workspace})

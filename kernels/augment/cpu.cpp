// augment on the CPU: a warp, the mean of the warped image, and a pass of lighting and normalisation.
#include "kernels/launch/cpu.h"
#include "kernels/augment/math.h"
#include "kernels/launch/table.h"

namespace dermatome::augment {
namespace {

using Index = std::int64_t;

// One row of one sample: image in [0, 1] and target.
void warp_row(const unsigned char* photograph, const unsigned char* mask, const float* table, Index row, Index height,
              Index width, bool reflect_mask, float* image, float* target) {
  for (Index x = 0; x < width; ++x) {
    const auto p = source_of(table, static_cast<float>(x), static_cast<float>(row));
    if (target != nullptr) target[x] = mask_at(mask, p, width, height, reflect_mask);
    if (image == nullptr) continue;
    const auto b = bilinear(p, width, height);
    const unsigned char* top = photograph + b.y0 * width * 3;
    const unsigned char* bottom = photograph + b.y1 * width * 3;
    for (int c = 0; c < 3; ++c) {
      image[x * 3 + c] =
          interpolate<float>(b, top[b.x0 * 3 + c], top[b.x1 * 3 + c], bottom[b.x0 * 3 + c], bottom[b.x1 * 3 + c]) *
          (1.0f / 255.0f);
    }
  }
}

void run(const Call& call) {
  const auto* images = launch::in<unsigned char>(call, 0);
  const auto* masks = launch::in<unsigned char>(call, 1);
  const auto* indices = launch::in<std::int32_t>(call, 2);
  const float* tables = launch::in<float>(call, 3);
  float* image = launch::out<float>(call, 0);
  float* target = launch::out<float>(call, 1);
  const Index samples = call.inputs[2].elements;
  const Index height = call.inputs[0].extent[1];
  const Index width = call.inputs[0].extent[2];
  const Index pixels = height * width;
  const bool reflect_mask = launch::integer(call, kReflectMask) != 0;
  launch::for_each_row(samples * height, width * 16, [=](Index line) {
    const Index n = line / height;
    const Index row = line % height;
    warp_row(images + indices[n] * pixels * 3, masks + indices[n] * pixels, tables + n * kTableSize, row, height, width,
             reflect_mask, image == nullptr ? nullptr : image + line * width * 3,
             target == nullptr ? nullptr : target + line * width);
  });
  if (image == nullptr) return;
  auto* means = static_cast<float*>(call.workspace);
  launch::reduce_images<float, 1>(
      samples, pixels * 3, [=](Index n, Index i, float* terms) { terms[0] = image[n * pixels * 3 + i]; },
      [=](Index n, const double* sums) { means[n] = static_cast<float>(sums[0] / static_cast<double>(pixels * 3)); });
  float mean[3];
  float factor[3];
  for (int c = 0; c < 3; ++c) {
    mean[c] = static_cast<float>(launch::real(call, kMean + c));
    factor[c] = static_cast<float>(1.0 / launch::real(call, kDeviation + c));
  }
  launch::for_each_row(samples * height, width * 3, [=](Index line) {
    const Index n = line / height;
    const float* table = tables + n * kTableSize;
    float* to = image + line * width * 3;
    for (Index x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        to[x * 3 + c] = (light(to[x * 3 + c], means[n], table[kBrightness], table[kContrast]) - mean[c]) * factor[c];
      }
    }
  });
}

Index workspace(const Call& call) {
  return call.inputs[2].elements * 4;
}

}  // namespace
}  // namespace dermatome::augment

DERMATOME_CPU_TABLE(augment, {"augment", DType::f32, augment::run, augment::workspace})

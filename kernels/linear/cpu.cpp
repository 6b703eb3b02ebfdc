// linear and its gradients on the CPU: blocked loops. Sums are plain multiply-adds, so there is no math.h to share.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"

namespace dermatome::linear {
namespace {

using launch::Index;

// Samples that share one pass over a row of the weight.
constexpr Index kSamples = 4;
// Neighbouring results that are summed at once in the gradients.
constexpr Index kBlock = 64;

Index blocks_of(Index extent, Index block) {
  return (extent + block - 1) / block;
}
Index smaller(Index a, Index b) {
  return a < b ? a : b;
}

void run_forward(const Call& call) {
  const float* x = launch::in<float>(call, 0);
  const float* weight = launch::in<float>(call, 1);
  const float* bias = launch::in<float>(call, 2);
  float* y = launch::out<float>(call, 0);
  const Index samples = call.inputs[0].extent[0];
  const Index inputs = call.inputs[0].extent[1];
  const Index features = call.inputs[1].extent[0];
  launch::for_each_row(blocks_of(samples, kSamples) * features, kSamples * inputs, [=](Index row) {
    const Index first = row / features * kSamples;
    const Index o = row % features;
    const float* w = weight + o * inputs;
    // Behind the last sample the last is computed again, and not stored.
    const float* x0 = x + first * inputs;
    const float* x1 = x + smaller(first + 1, samples - 1) * inputs;
    const float* x2 = x + smaller(first + 2, samples - 1) * inputs;
    const float* x3 = x + smaller(first + 3, samples - 1) * inputs;
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (Index i = 0; i < inputs; ++i) {
      s0 += x0[i] * w[i];
      s1 += x1[i] * w[i];
      s2 += x2[i] * w[i];
      s3 += x3[i] * w[i];
    }
    const float sums[kSamples] = {s0, s1, s2, s3};
    const float start = bias == nullptr ? 0.0f : bias[o];
    for (Index k = 0; k < smaller(kSamples, samples - first); ++k) y[(first + k) * features + o] = start + sums[k];
  });
}

// result[i] = sum over k of factor[k * factor_step] * rows[k * row_step + i], for count <= kBlock values of i.
void weighted_sum_of_rows(const float* factor, Index factor_step, const float* rows, Index row_step, Index terms,
                          Index count, float* result) {
  float sums[kBlock] = {};
  for (Index k = 0; k < terms; ++k) {
    const float f = factor[k * factor_step];
    const float* row = rows + k * row_step;
#pragma omp simd
    for (Index i = 0; i < count; ++i) sums[i] += f * row[i];
  }
  for (Index i = 0; i < count; ++i) result[i] = sums[i];
}

void run_data_gradient(const Call& call) {
  const float* dy = launch::in<float>(call, 0);
  const float* weight = launch::in<float>(call, 1);
  float* dx = launch::out<float>(call, 0);
  const Index samples = call.inputs[0].extent[0];
  const Index features = call.inputs[1].extent[0];
  const Index inputs = call.inputs[1].extent[1];
  const Index blocks = blocks_of(inputs, kBlock);
  launch::for_each_row(samples * blocks, features * kBlock, [=](Index row) {
    const Index n = row / blocks;
    const Index begin = row % blocks * kBlock;
    weighted_sum_of_rows(dy + n * features, 1, weight + begin, inputs, features, smaller(kBlock, inputs - begin),
                         dx + n * inputs + begin);
  });
}

void run_weight_gradient(const Call& call) {
  const float* x = launch::in<float>(call, 0);
  const float* dy = launch::in<float>(call, 1);
  float* dweight = launch::out<float>(call, 0);
  float* dbias = launch::out<float>(call, 1);
  const Index samples = call.inputs[0].extent[0];
  const Index inputs = call.inputs[0].extent[1];
  const Index features = call.inputs[1].extent[1];
  const Index blocks = blocks_of(inputs, kBlock);
  if (dweight != nullptr) {
    launch::for_each_row(features * blocks, samples * kBlock, [=](Index row) {
      const Index o = row / blocks;
      const Index begin = row % blocks * kBlock;
      weighted_sum_of_rows(dy + o, features, x + begin, inputs, samples, smaller(kBlock, inputs - begin),
                           dweight + o * inputs + begin);
    });
  }
  if (dbias == nullptr) return;
  launch::for_each_row(features, samples, [=](Index o) {
    double sum = 0;
    for (Index n = 0; n < samples; ++n) sum += static_cast<double>(dy[n * features + o]);
    dbias[o] = static_cast<float>(sum);
  });
}

}  // namespace
}  // namespace dermatome::linear

DERMATOME_CPU_TABLE(linear, {"linear", DType::f32, linear::run_forward},
                    {"linear_data_gradient", DType::f32, linear::run_data_gradient},
                    {"linear_weight_gradient", DType::f32, linear::run_weight_gradient})

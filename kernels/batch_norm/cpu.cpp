// batch_norm and its gradients on the CPU.
#include <math.h>

#include "kernels/batch_norm/statistics.h"
#include "kernels/launch/table.h"

namespace dermatome::batch_norm {
namespace {

using launch::Index;
using launch::load;
using launch::store;

// y = x * scale[c] + shift[c]
template <typename T>
void apply_rows(const T* x, Index rows, Index channels, const float* scale, const float* shift, T* y) {
  launch::for_each_row(rows, channels, [=](Index r) {
    const T* from = x + r * channels;
    T* to = y + r * channels;
#pragma omp simd
    for (Index c = 0; c < channels; ++c) to[c] = store<T>(apply<float>({scale[c], shift[c]}, load(from[c])));
  });
}

Normalisation normalisation_of(const Call& call) {
  const Index channels = call.inputs[1].elements;
  return {.rows = call.inputs[0].elements / channels,
          .channels = channels,
          .from_batch = launch::integer(call, kMode) == kModeTrain,
          .epsilon = launch::real(call, kEpsilon),
          .momentum = launch::real(call, kMomentum),
          .gamma = launch::in<float>(call, 1),
          .beta = launch::in<float>(call, 2),
          .running_mean = launch::in<float>(call, 3),
          .running_var = launch::in<float>(call, 4),
          .outputs = call.outputs + 1};
}

template <typename T>
void forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  const Normalisation n = normalisation_of(call);
  auto* scale = static_cast<float*>(call.workspace);
  float* shift = scale + n.channels;
  normalise(n, x, scale, shift, shift + n.channels);
  if (y != nullptr) apply_rows(x, n.rows, n.channels, scale, shift, y);
}

Index forward_workspace(const Call& call) {
  const Normalisation n = normalisation_of(call);
  return (2 * n.channels + statistics_floats(n)) * 4;
}

// Attribute: eps.
void affine_of_running(const Call& call) {
  const float* gamma = launch::in<float>(call, 0);
  const float* beta = launch::in<float>(call, 1);
  const float* mean = launch::in<float>(call, 2);
  const float* variance = launch::in<float>(call, 3);
  float* scale = launch::out<float>(call, 0);
  float* shift = launch::out<float>(call, 1);
  const double eps = launch::real(call, 0);
  for (Index c = 0; c < call.inputs[0].elements; ++c) {
    const double inverse = 1.0 / sqrt(static_cast<double>(variance[c]) + eps);
    const auto a = affine<double>(static_cast<double>(gamma[c]), static_cast<double>(beta[c]),
                                  static_cast<double>(mean[c]), inverse);
    if (scale != nullptr) scale[c] = static_cast<float>(a.scale);
    if (shift != nullptr) shift[c] = static_cast<float>(a.shift);
  }
}

// Sums dy and dy * (x - mean) of every channel, then dx = a * dy + b * x + c.
template <typename T, bool kFixedStatistics>
void backward(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  const T* x = launch::in<T>(call, 1);
  const float* gamma = launch::in<float>(call, 2);
  const float* mean = launch::in<float>(call, 3);
  const float* last = launch::in<float>(call, 4);
  T* dx = launch::out<T>(call, 0);
  float* dgamma = launch::out<float>(call, 1);
  float* dbeta = launch::out<float>(call, 2);
  const Index channels = call.inputs[2].elements;
  const Index rows = call.inputs[0].elements / channels;
  auto* factors = static_cast<float*>(call.workspace);
  float* partial = factors + 3 * channels;
  launch::reduce_channels<float, 2>(
      rows, channels, partial,
      [=](Index r, Index c, float* terms) {
        const float d = load(dy[r * channels + c]);
        terms[0] = d;
        terms[1] = d * (load(x[r * channels + c]) - mean[c]);
      },
      [=](Index c, const double* sums) {
        const double inverse = kFixedStatistics ? 1.0 / sqrt(static_cast<double>(last[c]) + launch::real(call, 0))
                                                : static_cast<double>(last[c]);
        const double sum_normalised = sums[1] * inverse;
        if (dgamma != nullptr) dgamma[c] = static_cast<float>(sum_normalised);
        if (dbeta != nullptr) dbeta[c] = static_cast<float>(sums[0]);
        const auto g = kFixedStatistics
                           ? InputGradient<double>{static_cast<double>(gamma[c]) * inverse, 0, 0}
                           : input_gradient<double>(static_cast<double>(gamma[c]), static_cast<double>(mean[c]),
                                                    inverse, sum_normalised, sums[0], static_cast<double>(rows));
        factors[c] = static_cast<float>(g.dy_factor);
        factors[channels + c] = static_cast<float>(g.x_factor);
        factors[2 * channels + c] = static_cast<float>(g.constant);
      });
  if (dx == nullptr) return;
  launch::for_each_row(rows, channels, [=](Index r) {
    const Index base = r * channels;
#pragma omp simd
    for (Index c = 0; c < channels; ++c) {
      const float from_dy = factors[c] * load(dy[base + c]);
      const float from_x = factors[channels + c] * load(x[base + c]) + factors[2 * channels + c];
      dx[base + c] = store<T>(kFixedStatistics ? from_dy : from_dy + from_x);
    }
  });
}

Index backward_workspace(const Call& call) {
  const Index channels = call.inputs[2].elements;
  return 3 * channels * 4 + launch::reduce_channels_workspace<float, 2>(call.inputs[0].elements / channels, channels);
}

}  // namespace
}  // namespace dermatome::batch_norm

// Beside bf16 activations statistics, scales and their gradients are f32.
DERMATOME_CPU_TABLE(
    batch_norm, {"batch_norm", DType::f32, batch_norm::forward<float>, batch_norm::forward_workspace},
    {"batch_norm", DType::bf16, batch_norm::forward<launch::Bfloat16>, batch_norm::forward_workspace, nullptr, true},
    {"batch_norm_affine", DType::f32, batch_norm::affine_of_running},
    {"batch_norm_gradient", DType::f32, batch_norm::backward<float, false>, batch_norm::backward_workspace},
    {"batch_norm_gradient", DType::bf16, batch_norm::backward<launch::Bfloat16, false>, batch_norm::backward_workspace,
     nullptr, true},
    {"batch_norm_frozen_gradient", DType::f32, batch_norm::backward<float, true>, batch_norm::backward_workspace},
    {"batch_norm_frozen_gradient", DType::bf16, batch_norm::backward<launch::Bfloat16, true>,
     batch_norm::backward_workspace, nullptr, true})

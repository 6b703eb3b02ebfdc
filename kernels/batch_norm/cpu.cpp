// batch_norm and its gradients on the CPU.
#include <math.h>

#include "kernels/batch_norm/statistics.h"
#include "kernels/launch/row_sums.h"
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

template <typename T>
void forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  const Normalisation n = normalisation_of(call);
  normalise(n, x, static_cast<float*>(call.workspace) + 2 * n.channels);
  if (y != nullptr) apply_rows(x, n.rows, n.channels, n.forward.scale, n.forward.shift, y);
}

// Attribute: eps.
void affine_of_running(const Call& call) {
  const Forward f{.gamma = launch::in<float>(call, 0),
                  .beta = launch::in<float>(call, 1),
                  .running_mean = launch::in<float>(call, 2),
                  .running_var = launch::in<float>(call, 3),
                  .scale = launch::out<float>(call, 0),
                  .shift = launch::out<float>(call, 1),
                  .epsilon = launch::real(call, 0)};
  for (Index c = 0; c < call.inputs[0].elements; ++c) f.fixed(c);
}

// finish(channel, {sum of dy, sum of dy * (x - mean)}) for every channel.
template <typename T, typename Finish>
void sum_gradients(const T* dy, const T* x, const float* mean, Index rows, Index channels, float* workspace,
                   const Finish& finish) {
  if (channels % launch::kLanes != 0) {
    launch::reduce_channels<float, 2>(
        rows, channels, workspace,
        [=](Index r, Index c, float* terms) {
          const float d = load(dy[r * channels + c]);
          terms[0] = d;
          terms[1] = d * (load(x[r * channels + c]) - mean[c]);
        },
        finish);
    return;
  }
  launch::for_each_chunk(rows, 2 * channels, [=](Index chunk, Index begin, Index end) {
    const auto terms = [=](Index r, Index c, launch::Vec* added) {
      const launch::Vec d = load(dy + r * channels + c);
      added[0] = d;
      added[1] = d * (load(x + r * channels + c) - load(mean + c));
    };
    launch::sum_rows<2>(begin, end, channels, terms, workspace + chunk * 2 * channels);
  });
  launch::combine_chunks<float, 2>(rows, channels, workspace, finish);
}

// Sums dy and dy * (x - mean) of every channel, then dx = a * dy + b * x + c.
template <typename T, bool kFixedStatistics>
void backward(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  const T* x = launch::in<T>(call, 1);
  T* dx = launch::out<T>(call, 0);
  const Index channels = call.inputs[2].elements;
  const Index rows = call.inputs[0].elements / channels;
  const Backward<kFixedStatistics> gradients{.gamma = launch::in<float>(call, 2),
                                             .mean = launch::in<float>(call, 3),
                                             .last = launch::in<float>(call, 4),
                                             .dgamma = launch::out<float>(call, 1),
                                             .dbeta = launch::out<float>(call, 2),
                                             .factors = static_cast<float*>(call.workspace),
                                             .channels = channels,
                                             .epsilon = kFixedStatistics ? launch::real(call, 0) : 0,
                                             .count = static_cast<double>(rows)};
  sum_gradients(dy, x, gradients.mean, rows, channels, gradients.factors + 3 * channels,
                [=](Index c, const double* sums) { gradients.finish(c, sums); });
  if (dx == nullptr) return;
  launch::for_each_row(rows, channels, [=](Index r) {
    const Index base = r * channels;
#pragma omp simd
    for (Index c = 0; c < channels; ++c) {
      dx[base + c] = store<T>(gradients.dx(c, load(dy[base + c]), load(x[base + c])));
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

// Statistics of channels on the CPU and what batch norm makes of them: mean and squared deviations of a chunk of rows
// while it is warm in the cache, chunks then combined in a fixed order in f64 (Chan, Golub & LeVeque 1983): one pass
// over memory, no cancellation.
#pragma once

#include "kernels/batch_norm/math.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/row_sums.h"

namespace dermatome::batch_norm {
inline namespace DERMATOME_ISA {

using launch::Index;

// Of each chunk: sums and squared deviations from the chunk's mean, [chunk][2][channels].
template <typename T>
void chunk_statistics(const T* x, Index rows, Index channels, float* workspace) {
  launch::for_each_chunk(rows, channels, [=](Index chunk, Index begin, Index end) {
    float* sum = workspace + chunk * 2 * channels;
    float* squares = sum + channels;
    const float inverse = 1.0f / static_cast<float>(end - begin);
    if (channels % launch::kLanes == 0) {
      const auto values = [=](Index r, Index c, launch::Vec* added) { *added = launch::load(x + r * channels + c); };
      launch::sum_rows<1>(begin, end, channels, values, sum);
      const auto deviations = [=](Index r, Index c, launch::Vec* added) {
        const launch::Vec d = launch::load(x + r * channels + c) - launch::load(sum + c) * inverse;
        *added = d * d;
      };
      launch::sum_rows<1>(begin, end, channels, deviations, squares);
      return;
    }
    for (Index c = 0; c < 2 * channels; ++c) sum[c] = 0;
    for (Index r = begin; r < end; ++r) {
      const T* row = x + r * channels;
#pragma omp simd
      for (Index c = 0; c < channels; ++c) sum[c] += launch::load(row[c]);
    }
    for (Index r = begin; r < end; ++r) {
      const T* row = x + r * channels;
#pragma omp simd
      for (Index c = 0; c < channels; ++c) {
        const float d = launch::load(row[c]) - sum[c] * inverse;
        squares[c] += d * d;
      }
    }
  });
}

struct Statistics {
  double mean[launch::kChannelBlock] = {};
  double variance[launch::kChannelBlock] = {};
};

// Of `count` channels from `first` on.
inline Statistics combine(const float* workspace, Index rows, Index channels, Index first, Index count) {
  Statistics s;
  double seen = 0;
  const Index chunks = launch::chunks_of(rows);
  for (Index chunk = 0; chunk < chunks; ++chunk) {
    const auto size = static_cast<double>(rows * (chunk + 1) / chunks - rows * chunk / chunks);
    const float* sums = workspace + chunk * 2 * channels + first;
    const double total = seen + size;
    const double share = size / total;
    const double inverse = 1.0 / size;
#pragma omp simd
    for (Index c = 0; c < count; ++c) {
      const double delta = static_cast<double>(sums[c]) * inverse - s.mean[c];
      s.variance[c] += static_cast<double>(sums[channels + c]) + delta * delta * seen * share;
      s.mean[c] += delta * share;
    }
    seen = total;
  }
  for (Index c = 0; c < count; ++c) s.variance[c] /= seen;
  return s;
}

// One application of batch norm to rows x channels.
struct Normalisation {
  Index rows, channels;
  bool from_batch;  // statistics of x, else the running ones
  Forward forward;
};

// Floats of normalise's workspace.
inline Index statistics_floats(const Normalisation& n) {
  return n.from_batch ? launch::chunks_of(n.rows) * 2 * n.channels : 0;
}

// Of a call of batch_norm or batch_norm_relu, of whose workspace scale and shift are the first two rows of channels.
inline Normalisation normalisation_of(const Call& call) {
  const Index channels = call.inputs[1].elements;
  const bool train = launch::integer(call, kMode) == kModeTrain;
  return {.rows = call.inputs[0].elements / channels,
          .channels = channels,
          .from_batch = train,
          .forward = {.gamma = launch::in<float>(call, 1),
                      .beta = launch::in<float>(call, 2),
                      .running_mean = launch::in<float>(call, 3),
                      .running_var = launch::in<float>(call, 4),
                      .mean = train ? launch::out<float>(call, 1) : nullptr,
                      .inverse_deviation = train ? launch::out<float>(call, 2) : nullptr,
                      .new_running_mean = train ? launch::out<float>(call, 3) : nullptr,
                      .new_running_var = train ? launch::out<float>(call, 4) : nullptr,
                      .scale = static_cast<float*>(call.workspace),
                      .shift = static_cast<float*>(call.workspace) + channels,
                      .epsilon = launch::real(call, kEpsilon),
                      .momentum = static_cast<float>(launch::real(call, kMomentum))}};
}

inline Index forward_workspace(const Call& call) {
  const Normalisation n = normalisation_of(call);
  return (2 * n.channels + statistics_floats(n)) * 4;
}

// Fills scale and shift, of which x * scale + shift is normalised, and the outputs.
template <typename T>
void normalise(const Normalisation& n, const T* x, float* workspace) {
  if (n.from_batch) chunk_statistics(x, n.rows, n.channels, workspace);
  const Index work = n.from_batch ? launch::chunks_of(n.rows) : 1;
  launch::for_each_channel_block(n.channels, work, [=](Index first, Index count) {
    if (!n.from_batch) {
      for (Index c = first; c < first + count; ++c) n.forward.fixed(c);
      return;
    }
    const Statistics s = combine(workspace, n.rows, n.channels, first, count);
    for (Index i = 0; i < count; ++i) {
      n.forward.batch(first + i, s.mean[i], s.variance[i], static_cast<double>(n.rows));
    }
  });
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::batch_norm

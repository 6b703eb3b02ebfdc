// The statistics of batch_norm on CUDA, for it and for what is fused with it. They come from one pass: sums of each
// value's distance to the channel's first value and of its square, in which a large mean cancels nothing.
#pragma once

#include <math.h>

#include "kernels/batch_norm/math.h"
#include "kernels/launch/cuda.cuh"

namespace dermatome::batch_norm {

// Channels that a thread handles: 8 or 16 bytes of them where they divide.
constexpr int kPack = 4;

struct Sizes {
  std::int64_t rows, channels;
};
inline Sizes sizes_of(const Call& call, int x, int per_channel) {
  const std::int64_t channels = call.inputs[per_channel].elements;
  return {call.inputs[x].elements / channels, channels};
}

inline Forward forward_of(const Call& call, std::int64_t channels) {
  auto* scale = static_cast<float*>(call.workspace);
  const bool train = launch::integer(call, kMode) == kModeTrain;
  return {launch::in<float>(call, 1),
          launch::in<float>(call, 2),
          launch::in<float>(call, 3),
          launch::in<float>(call, 4),
          train ? launch::out<float>(call, 1) : nullptr,
          train ? launch::out<float>(call, 2) : nullptr,
          train ? launch::out<float>(call, 3) : nullptr,
          train ? launch::out<float>(call, 4) : nullptr,
          scale,
          scale + channels,
          launch::real(call, kEpsilon),
          static_cast<float>(launch::real(call, kMomentum))};
}

// No lambdas: those that run on either side have another type in every file that includes this.
template <typename T, int N>
struct FirstValues {
  const T* x;
  DERMATOME_HD launch::cuda::Pack<T, N> operator()(std::int64_t c) const {
    return launch::cuda::load_pack<T, N>(x + c);
  }
};

template <typename T, int N>
struct DistanceTerms {
  const T* x;
  std::int64_t channels;
  DERMATOME_HD void operator()(std::int64_t row, std::int64_t c, const launch::cuda::Pack<T, N>& first,
                               launch::cuda::ChannelSums<float, 2, N>& terms) const {
    const auto pack = launch::cuda::load_pack<T, N>(x + row * channels + c);
    for (int k = 0; k < N; ++k) {
      const float distance = launch::load(pack.value[k]) - launch::load(first.value[k]);
      terms.term[0][k] = distance;
      terms.term[1][k] = distance * distance;
    }
  }
};

// From the sums of x - (the channel's first value) and of its square.
template <typename T>
struct StoreStatistics {
  const T* x;
  double count;
  Forward f;
  DERMATOME_HD void operator()(std::int64_t c, const double* sums) const {
    const double distance = sums[0] / count;
    const double variance = sums[1] / count - distance * distance;
    f.batch(c, static_cast<double>(launch::load(x[c])) + distance, variance > 0 ? variance : 0, count);
  }
};

struct SetFixed {
  Forward f;
  DERMATOME_HD void operator()(std::int64_t c) const { f.fixed(c); }
};

// Scale and shift of every channel by the batch's statistics, which also move the running ones. `partial`: as many
// bytes as reduce_channels_workspace<float, 2> says.
template <typename T, int N>
void set_by_batch(const Call& call, const T* x, Sizes size, const Forward& f, void* partial) {
  launch::cuda::reduce_channels<float, 2, N>(call, size.rows, size.channels, static_cast<float*>(partial),
                                             FirstValues<T, N>{x}, DistanceTerms<T, N>{x, size.channels},
                                             StoreStatistics<T>{x, static_cast<double>(size.rows), f});
}

// By those or by the running ones, as batch_norm's attributes say; workspace as in forward_of.
template <typename T, int N>
void set_scale_and_shift(const Call& call, const T* x, Sizes size, const Forward& f) {
  if (launch::integer(call, kMode) == kModeTrain) {
    set_by_batch<T, N>(call, x, size, f, static_cast<float*>(call.workspace) + 2 * size.channels);
  } else {
    launch::cuda::for_each(call, size.channels, SetFixed{f});
  }
}

inline std::int64_t forward_workspace(const Call& call) {
  const auto [rows, channels] = sizes_of(call, 0, 1);
  const bool train = launch::integer(call, kMode) == kModeTrain;
  return 2 * channels * 4 + (train ? launch::cuda::reduce_channels_workspace<float, 2>(rows, channels) : 0);
}

}  // namespace dermatome::batch_norm

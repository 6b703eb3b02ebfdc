// Passes of our own around a vendor's convolution.
#include "kernels/launch/cuda_segments.cuh"
#include "kernels/vendor/cuda_layouts.h"

namespace dermatome::cuda {
namespace {

using launch::Bfloat16;
using launch::load;
using launch::store;
using launch::cuda::Index;

constexpr int kPack = 4;  // neighbouring channels that a thread handles

template <typename T>
void to_ohwi(const Call& call, const float* from, const std::int64_t* extents, T* to) {
  const Index in = extents[1], taps = extents[2] * extents[3];
  launch::cuda::for_each_cell(
      call, extents[0] * taps, in, DERMATOME_LAMBDA(Index row, Index i) {
        to[row * in + i] = store<T>(from[(row / taps * in + i) * taps + row % taps]);
      });
}

struct Weight {
  const float* from;
  Index elements;
  launch::cuda::ChannelsLast copy;
};

template <typename T>
void to_oihw(const Call& call, const T* from, const std::int64_t* extents, float* to) {
  const Index in = extents[1], taps = extents[2] * extents[3];
  launch::cuda::for_each_cell(
      call, extents[0] * in, taps, DERMATOME_LAMBDA(Index row, Index tap) {
        to[row * taps + tap] = load(from[(row / in * taps + tap) * in + row % in]);
      });
}

DERMATOME_HD float finished(const Finish& f, Index c, float value, float residual) {
  if (f.bias != nullptr) value += f.bias[c];
  if (f.relu_first && value < 0) value = 0;
  if (f.scale != nullptr) value = value * f.scale[c] + f.shift[c];
  if (f.adds) value += f.residual_factor == nullptr ? residual : residual * f.residual_factor[c];
  if (f.relu && value < 0) value = 0;
  return f.mask && !(residual > 0) ? 0.0f : value;
}

template <typename T, int N>
void finish(const Call& call, const Rows& rows, const Finish& f) {
  T* y = static_cast<T*>(rows.data);
  const T* residual = f.residual == nullptr ? y : static_cast<const T*>(f.residual);
  const Index step = rows.step;
  launch::cuda::for_each_cell(
      call, rows.rows, rows.channels / N, DERMATOME_LAMBDA(Index row, Index column) {
        const Index c = column * N;
        auto pack = launch::cuda::load_pack<T, N>(y + row * step + c);
        const auto other = launch::cuda::load_pack<T, N>(residual + row * step + c);
        for (int k = 0; k < N; ++k) {
          pack.value[k] = store<T>(finished(f, c + k, load(pack.value[k]), load(other.value[k])));
        }
        launch::cuda::store_pack<T, N>(y + row * step + c, pack);
      });
}

template <typename T>
void finish_in_packs(const Call& call, const Rows& y, const Finish& f) {
  if (y.channels % kPack == 0 && y.step % kPack == 0) {
    finish<T, kPack>(call, y, f);
  } else {
    finish<T, 1>(call, y, f);
  }
}

// Doubles: a gradient's positive and negative parts nearly cancel.
template <typename T>
void sum_channels(const Call& call, const Rows& rows, double* workspace, float* sums) {
  const T* x = static_cast<const T*>(rows.data);
  const Index step = rows.step;
  launch::cuda::reduce_channels<double, 1, 1>(
      call, rows.rows, rows.channels, workspace, DERMATOME_LAMBDA(Index) { return 0; },
      DERMATOME_LAMBDA(Index row, Index c, int, launch::cuda::ChannelSums<double, 1, 1>& terms) {
        terms.term[0][0] = static_cast<double>(load(x[row * step + c]));
      },
      DERMATOME_LAMBDA(Index c, const double* totals) { sums[c] = static_cast<float>(totals[0]); });
}

template <typename T, int N>
void sum_moments(const Call& call, const Rows& rows, float* workspace, float* sum, float* sum_of_squares) {
  const T* x = static_cast<const T*>(rows.data);
  const Index step = rows.step;
  launch::cuda::reduce_channels<float, 2, N>(
      call, rows.rows, rows.channels, workspace, DERMATOME_LAMBDA(Index) { return 0; },
      DERMATOME_LAMBDA(Index row, Index c, int, launch::cuda::ChannelSums<float, 2, N>& terms) {
        const auto pack = launch::cuda::load_pack<T, N>(x + row * step + c);
        for (int k = 0; k < N; ++k) {
          terms.term[0][k] = load(pack.value[k]);
          terms.term[1][k] = load(pack.value[k]) * load(pack.value[k]);
        }
      },
      DERMATOME_LAMBDA(Index c, const double* totals) {
        if (sum != nullptr) sum[c] = static_cast<float>(totals[0]);
        if (sum_of_squares != nullptr) sum_of_squares[c] = static_cast<float>(totals[1]);
      });
}

template <typename T>
void sum_moments_in_packs(const Call& call, const Rows& x, float* workspace, float* sum, float* sum_of_squares) {
  if (x.channels % kPack == 0 && x.step % kPack == 0) {
    sum_moments<T, kPack>(call, x, workspace, sum, sum_of_squares);
  } else {
    sum_moments<T, 1>(call, x, workspace, sum, sum_of_squares);
  }
}

// The sums are of what is stored.
template <typename T, int N>
void gate_and_sum_packs(const Call& call, const Rows& rows, const Gate& gate, float* workspace, float* sum,
                        float* sum_of_products) {
  T* g = static_cast<T*>(rows.data);
  const T* positive = static_cast<const T*>(gate.gate);
  const T* other = static_cast<const T*>(gate.other);
  const T* added = static_cast<const T*>(gate.added);
  const Index step = rows.step;
  launch::cuda::reduce_channels<float, 2, N>(
      call, rows.rows, rows.channels, workspace, DERMATOME_LAMBDA(Index) { return 0; },
      DERMATOME_LAMBDA(Index row, Index c, int, launch::cuda::ChannelSums<float, 2, N>& terms) {
        const Index at = row * step + c;
        auto value = launch::cuda::load_pack<T, N>(g + at);
        const auto joins = launch::cuda::load_pack<T, N>((added == nullptr ? g : added) + at);
        const auto opens = launch::cuda::load_pack<T, N>(positive + at);
        const auto factor = launch::cuda::load_pack<T, N>(other + at);
        for (int k = 0; k < N; ++k) {
          const float whole = load(value.value[k]) + (added == nullptr ? 0.0f : load(joins.value[k]));
          value.value[k] = store<T>(load(opens.value[k]) > 0 ? whole : 0.0f);
          terms.term[0][k] = load(value.value[k]);
          terms.term[1][k] = load(value.value[k]) * load(factor.value[k]);
        }
        launch::cuda::store_pack<T, N>(g + at, value);
      },
      DERMATOME_LAMBDA(Index c, const double* totals) {
        if (sum != nullptr) sum[c] = static_cast<float>(totals[0]);
        if (sum_of_products != nullptr) sum_of_products[c] = static_cast<float>(totals[1]);
      });
}

template <typename T>
void gate_and_sum_by_packs(const Call& call, const Rows& g, const Gate& gate, void* workspace, float* sum,
                           float* sum_of_products) {
  if (g.channels % kPack == 0 && g.step % kPack == 0) {
    gate_and_sum_packs<T, kPack>(call, g, gate, static_cast<float*>(workspace), sum, sum_of_products);
  } else {
    gate_and_sum_packs<T, 1>(call, g, gate, static_cast<float*>(workspace), sum, sum_of_products);
  }
}

}  // namespace

void oihw_to_ohwi(const Call& call, const float* from, const std::int64_t* extents, DType type, void* to) {
  if (type == DType::f32) {
    to_ohwi(call, from, extents, static_cast<float*>(to));
  } else {
    to_ohwi(call, from, extents, static_cast<Bfloat16*>(to));
  }
}

void oihw_to_ohwi_all(const Call& call, std::span<const WeightCopy> copies, DType type) {
  launch::cuda::Segments<Weight> weights;
  for (std::size_t i = 0; i < copies.size(); ++i) {
    const WeightCopy& wanted = copies[i];
    const launch::cuda::ChannelsLast copy{wanted.to, type, static_cast<int>(wanted.in), static_cast<int>(wanted.taps)};
    weights.add({wanted.from, wanted.elements, copy}, copy.elements_of_block());
    if (weights.count < launch::cuda::kMostSegments && i + 1 < copies.size()) continue;
    launch::cuda::for_each_segment_and_copy(
        call, weights, DERMATOME_LAMBDA(const Weight& weight, Index j) { return weight.from[j]; });
    weights.count = 0;
  }
}

void ohwi_to_oihw(const Call& call, const void* from, DType type, const std::int64_t* extents, float* to) {
  if (type == DType::f32) {
    to_oihw(call, static_cast<const float*>(from), extents, to);
  } else {
    to_oihw(call, static_cast<const Bfloat16*>(from), extents, to);
  }
}

void finish_convolution(const Call& call, const Rows& y, const Finish& f) {
  if (y.type == DType::f32) {
    finish_in_packs<float>(call, y, f);
  } else {
    finish_in_packs<Bfloat16>(call, y, f);
  }
}

std::int64_t channel_sum_workspace(std::int64_t rows, std::int64_t channels) {
  return launch::cuda::reduce_channels_workspace<double, 1>(rows, channels);
}

void channel_sum(const Call& call, const Rows& x, void* workspace, float* sums) {
  if (x.type == DType::f32) {
    sum_channels<float>(call, x, static_cast<double*>(workspace), sums);
  } else {
    sum_channels<Bfloat16>(call, x, static_cast<double*>(workspace), sums);
  }
}

std::int64_t channel_moments_workspace(std::int64_t rows, std::int64_t channels) {
  return launch::cuda::reduce_channels_workspace<float, 2>(rows, channels);
}

void channel_moments(const Call& call, const Rows& x, void* workspace, float* sum, float* sum_of_squares) {
  if (x.type == DType::f32) {
    sum_moments_in_packs<float>(call, x, static_cast<float*>(workspace), sum, sum_of_squares);
  } else {
    sum_moments_in_packs<Bfloat16>(call, x, static_cast<float*>(workspace), sum, sum_of_squares);
  }
}

void gate_and_sum(const Call& call, const Rows& g, const Gate& gate, void* workspace, float* sum,
                  float* sum_of_products) {
  if (g.type == DType::f32) {
    gate_and_sum_by_packs<float>(call, g, gate, workspace, sum, sum_of_products);
  } else {
    gate_and_sum_by_packs<Bfloat16>(call, g, gate, workspace, sum, sum_of_products);
  }
}

}  // namespace dermatome::cuda

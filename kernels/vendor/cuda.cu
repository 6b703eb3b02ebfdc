// Passes of our own around a vendor's convolution.
#include "kernels/launch/cuda.cuh"
#include "kernels/vendor/cuda_layouts.h"

namespace dermatome::cuda {
namespace {

using launch::Bfloat16;
using launch::load;
using launch::store;
using launch::cuda::Index;

template <typename T>
void to_ohwi(const Call& call, const float* from, const std::int64_t* extents, T* to) {
  const Index in = extents[1], taps = extents[2] * extents[3];
  launch::cuda::for_each_cell(
      call, extents[0] * taps, in, DERMATOME_LAMBDA(Index row, Index i) {
        to[row * in + i] = store<T>(from[(row / taps * in + i) * taps + row % taps]);
      });
}

template <typename T>
void copy_weights(const Call& call, const launch::cuda::Segments<WeightCopy>& copies) {
  launch::cuda::for_each_segment(
      call, copies, DERMATOME_LAMBDA(const WeightCopy& copy, Index i) {
        const Index row = i / copy.in;
        const Index from = (row / copy.taps * copy.in + i % copy.in) * copy.taps + row % copy.taps;
        static_cast<T*>(copy.to)[i] = store<T>(copy.from[from]);
      });
}

template <typename T>
void to_oihw(const Call& call, const T* from, const std::int64_t* extents, float* to) {
  const Index in = extents[1], taps = extents[2] * extents[3];
  launch::cuda::for_each_cell(
      call, extents[0] * in, taps, DERMATOME_LAMBDA(Index row, Index tap) {
        to[row * taps + tap] = load(from[(row / in * taps + tap) * in + row % in]);
      });
}

template <typename T>
void finish(const Call& call, T* y, Index rows, Index channels, const Finish& f) {
  const T* residual = static_cast<const T*>(f.residual);
  launch::cuda::for_each_cell(
      call, rows, channels, DERMATOME_LAMBDA(Index row, Index c) {
        const Index at = row * channels + c;
        float value = load(y[at]);
        if (f.bias != nullptr) value += f.bias[c];
        if (f.relu_first && value < 0) value = 0;
        if (f.scale != nullptr) value = value * f.scale[c] + f.shift[c];
        if (residual != nullptr) value += load(residual[at]);
        if (f.relu && value < 0) value = 0;
        y[at] = store<T>(value);
      });
}

// Doubles: a gradient's positive and negative parts nearly cancel.
template <typename T>
void sum_channels(const Call& call, const T* x, Index rows, Index channels, double* workspace, float* sums) {
  launch::cuda::reduce_channels<double, 1, 1>(
      call, rows, channels, workspace, DERMATOME_LAMBDA(Index) { return 0; },
      DERMATOME_LAMBDA(Index row, Index c, int, launch::cuda::ChannelSums<double, 1, 1>& terms) {
        terms.term[0][0] = static_cast<double>(load(x[row * channels + c]));
      },
      DERMATOME_LAMBDA(Index c, const double* totals) { sums[c] = static_cast<float>(totals[0]); });
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
  launch::cuda::Segments<WeightCopy> segments;
  for (std::size_t i = 0; i < copies.size(); ++i) {
    segments.add(copies[i]);
    if (segments.count < launch::cuda::kMostSegments && i + 1 < copies.size()) continue;
    if (type == DType::f32) {
      copy_weights<float>(call, segments);
    } else {
      copy_weights<Bfloat16>(call, segments);
    }
    segments.count = 0;
  }
}

void ohwi_to_oihw(const Call& call, const void* from, DType type, const std::int64_t* extents, float* to) {
  if (type == DType::f32) {
    to_oihw(call, static_cast<const float*>(from), extents, to);
  } else {
    to_oihw(call, static_cast<const Bfloat16*>(from), extents, to);
  }
}

void finish_convolution(const Call& call, DType type, void* y, std::int64_t rows, std::int64_t channels,
                        const Finish& f) {
  if (type == DType::f32) {
    finish(call, static_cast<float*>(y), rows, channels, f);
  } else {
    finish(call, static_cast<Bfloat16*>(y), rows, channels, f);
  }
}

std::int64_t channel_sum_workspace(std::int64_t rows, std::int64_t channels) {
  return launch::cuda::reduce_channels_workspace<double, 1>(rows, channels);
}

void channel_sum(const Call& call, DType type, const void* x, std::int64_t rows, std::int64_t channels, void* workspace,
                 float* sums) {
  if (type == DType::f32) {
    sum_channels(call, static_cast<const float*>(x), rows, channels, static_cast<double*>(workspace), sums);
  } else {
    sum_channels(call, static_cast<const Bfloat16*>(x), rows, channels, static_cast<double*>(workspace), sums);
  }
}

}  // namespace dermatome::cuda

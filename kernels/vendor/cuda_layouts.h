// Passes of our own around a vendor's convolution: weights in another layout, a bias, a bias's gradient. They run where
// the call's stream says.
#pragma once

#include <cstdint>
#include <span>

#include "engine/compile/call.h"

namespace dermatome::cuda {

// A kernel of the given extents [out, in, height, width], f32, to [out, height, width, in] of `type`; and back.
void oihw_to_ohwi(const Call& call, const float* from, const std::int64_t* extents, DType type, void* to);
void ohwi_to_oihw(const Call& call, const void* from, DType type, const std::int64_t* extents, float* to);

// Many kernels [out, in, taps] to [out, taps, in] at once.
struct WeightCopy {
  const float* from;
  void* to;
  std::int64_t in, taps, elements;
};
void oihw_to_ohwi_all(const Call& call, std::span<const WeightCopy> copies, DType type);

// The first `channels` of every `step` elements, in `rows` rows.
struct Rows {
  DType type;
  void* data;
  std::int64_t rows, channels, step;
};

// y = relu(relu_first(y + bias) * scale + shift + residual_factor * residual) in place, each part where it is given;
// with `mask` zero where the residual is not positive, and `adds` says whether it is added. The residual is laid out
// as y and of its type.
struct Finish {
  const float* bias = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
  const void* residual = nullptr;
  const float* residual_factor = nullptr;
  bool relu_first = false, adds = false, relu = false, mask = false;
};
void finish_convolution(const Call& call, const Rows& y, const Finish& finish);

// sums[c] = sum over the rows of x[row][c]
std::int64_t channel_sum_workspace(std::int64_t rows, std::int64_t channels);
void channel_sum(const Call& call, const Rows& x, void* workspace, float* sums);

// sum[c] and sum_of_squares[c] over the rows of x[row][c]; either may be null.
std::int64_t channel_moments_workspace(std::int64_t rows, std::int64_t channels);
void channel_moments(const Call& call, const Rows& x, void* workspace, float* sum, float* sum_of_squares);

// g = g + added where the gate is positive, else 0, in place; and over its rows sum[c] of g[row][c] and
// sum_of_products[c] of g[row][c] * other[row][c]. All are laid out as g and of its type; `added` may be null, sums
// too. Workspace as of channel_moments.
struct Gate {
  const void* added = nullptr;
  const void* gate = nullptr;
  const void* other = nullptr;
};
void gate_and_sum(const Call& call, const Rows& g, const Gate& gate, void* workspace, float* sum,
                  float* sum_of_products);

}  // namespace dermatome::cuda

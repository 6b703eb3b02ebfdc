// ReLU behind batch norm, the arithmetic: which elements it lets through, and sums that the convolution beside it took.
// The rest is batch_norm's.
#pragma once

#include <cstdint>

#include "kernels/batch_norm/math.h"
#include "kernels/launch/host_device.h"

namespace dermatome::batch_norm_relu {
inline namespace DERMATOME_ISA {

// Inputs of batch_norm_relu that may be absent.
enum { kResidual = 5, kSum, kSumOfSquares };
// Of batch_norm_relu_gradient, in the order of its signature.
enum { kGradientEpsilon, kFixed };
// Its inputs that may be absent: y, and the sums of dy and of its product with x.
enum { kOutput = 6, kGradientSum, kSumOfProducts };

DERMATOME_HD float forward(batch_norm::Affine<float> a, float x, float residual) {
  const float z = batch_norm::apply(a, x) + residual;
  return z > 0 ? z : 0;
}

DERMATOME_HD float masked(float dy, float z) {
  return z > 0 ? dy : 0;
}

// Channel c by its sums of x and x^2, which the convolution in front took as it stored x.
DERMATOME_HD void set_by_sums(const batch_norm::Forward& f, std::int64_t c, const float* sum,
                              const float* sum_of_squares, double count) {
  const double mean = static_cast<double>(sum[c]) / count;
  const double variance = static_cast<double>(sum_of_squares[c]) / count - mean * mean;
  f.batch(c, mean, variance > 0 ? variance : 0, count);
}

// Channel c's gradients by its sums of dy and dy * x, which the convolution behind took as it stored dy.
template <bool kFixedStatistics>
DERMATOME_HD void finish_by_sums(const batch_norm::Backward<kFixedStatistics>& gradients, std::int64_t c,
                                 const float* sum, const float* sum_of_products) {
  const double whole = static_cast<double>(sum[c]);
  const double sums[2] = {whole,
                          static_cast<double>(sum_of_products[c]) - static_cast<double>(gradients.mean[c]) * whole};
  gradients.finish(c, sums);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::batch_norm_relu

// ReLU behind batch norm, the arithmetic: which elements it lets through. The rest is batch_norm's.
#pragma once

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

}  // namespace DERMATOME_ISA
}  // namespace dermatome::batch_norm_relu

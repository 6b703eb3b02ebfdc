// Binary cross-entropy of a logit x and a target t in [0, 1], the arithmetic. In terms of p = sigmoid(x) it is
// -t log p - (1 - t) log(1 - p) = max(x, 0) - x t + log(1 + exp(-|x|)), in which nothing overflows or cancels.
#pragma once

#include <math.h>

#include <cstdint>

#include "kernels/launch/host_device.h"

namespace dermatome::bce_with_logits {
inline namespace DERMATOME_ISA {

// The C functions by type: the overloads of std are inline functions, which the linker could keep for all.
DERMATOME_HD float exponential(float x) {
  return ::expf(x);
}
DERMATOME_HD double exponential(double x) {
  return ::exp(x);
}
DERMATOME_HD float log_of_one_plus(float x) {
  return ::log1pf(x);
}
DERMATOME_HD double log_of_one_plus(double x) {
  return ::log1p(x);
}

template <typename T>
struct PixelLoss {
  T loss;
  T slope;  // d loss / d x = sigmoid(x) - t
};

template <typename T>
DERMATOME_HD PixelLoss<T> pixel_loss(T x, T t) {
  const T e = exponential(x < T(0) ? x : -x);
  const T positive = x > T(0) ? x : T(0);
  const T sigmoid = (x < T(0) ? e : T(1)) / (T(1) + e);
  return {positive - x * t + log_of_one_plus(e), sigmoid - t};
}

// Column of `counts` for one pixel.
enum Count { kTruePositive, kFalsePositive, kFalseNegative, kTrueNegative };

template <typename T>
DERMATOME_HD int count_of(T x, T t) {
  const bool predicted = x > T(0);
  const bool truth = t > T(0.5);
  return predicted ? (truth ? kTruePositive : kFalsePositive) : (truth ? kFalseNegative : kTrueNegative);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::bce_with_logits

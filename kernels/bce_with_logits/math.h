// Binary cross-entropy of a logit x and a target t in [0, 1], the arithmetic. In terms of p = sigmoid(x) it is
// -t log p - (1 - t) log(1 - p) = max(x, 0) - x t + log(1 + exp(-|x|)), in which nothing overflows or cancels.
#pragma once

#include <cstdint>

#include "kernels/launch/elementary.h"
#include "kernels/launch/host_device.h"

namespace dermatome::bce_with_logits {
inline namespace DERMATOME_ISA {

using launch::exponential;
using launch::log_of_one_plus;

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
DERMATOME_HD bool is_predicted(T x) {
  return x > T(0);
}
template <typename T>
DERMATOME_HD bool is_truth(T t) {
  return t > T(0.5);
}
template <typename T>
DERMATOME_HD int count_of(T x, T t) {
  return is_predicted(x) ? (is_truth(t) ? kTruePositive : kFalsePositive)
                         : (is_truth(t) ? kFalseNegative : kTrueNegative);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::bce_with_logits

// Sigmoid, the arithmetic: 1 / (1 + exp(-x)), with an exponent that is never positive, so that nothing overflows.
#pragma once

#include "kernels/launch/elementary.h"
#include "kernels/launch/host_device.h"

namespace dermatome::sigmoid {
inline namespace DERMATOME_ISA {

template <typename T>
DERMATOME_HD T forward(T x) {
  const T e = launch::exponential(x < T(0) ? x : -x);
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

// From the output.
template <typename T>
DERMATOME_HD T backward(T dy, T y) {
  return dy * y * (T(1) - y);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::sigmoid

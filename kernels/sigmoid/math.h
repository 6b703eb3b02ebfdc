// Sigmoid, the arithmetic: 1 / (1 + exp(-x)), with an exponent that is never positive, so that nothing overflows.
#pragma once

#include <math.h>

#include "kernels/launch/host_device.h"

namespace dermatome::sigmoid {
inline namespace DERMATOME_ISA {

// The C functions by type: the overloads of std are inline functions, which the linker could keep for all.
DERMATOME_HD float exponential(float x) {
  return ::expf(x);
}
DERMATOME_HD double exponential(double x) {
  return ::exp(x);
}

template <typename T>
DERMATOME_HD T forward(T x) {
  const T e = exponential(x < T(0) ? x : -x);
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

// From the output.
template <typename T>
DERMATOME_HD T backward(T dy, T y) {
  return dy * y * (T(1) - y);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::sigmoid

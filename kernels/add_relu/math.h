// ReLU of a sum, the arithmetic.
#pragma once

#include "kernels/launch/host_device.h"

namespace dermatome::add_relu {
inline namespace DERMATOME_ISA {

template <typename T>
DERMATOME_HD T forward(T a, T b) {
  const T sum = a + b;
  return sum > T(0) ? sum : T(0);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::add_relu

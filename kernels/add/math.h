// Addition of two tensors, the arithmetic.
#pragma once

#include "kernels/launch/host_device.h"

namespace dermatome::add {
inline namespace DERMATOME_ISA {

template <typename T>
DERMATOME_HD T forward(T a, T b) {
  return a + b;
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::add

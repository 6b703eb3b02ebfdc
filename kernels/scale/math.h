// Multiplication by a constant, the arithmetic.
#pragma once

#include "kernels/launch/host_device.h"

namespace dermatome::scale {
inline namespace DERMATOME_ISA {

enum Attribute { kFactor };

template <typename T>
DERMATOME_HD T forward(T x, T factor) {
  return factor * x;
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::scale

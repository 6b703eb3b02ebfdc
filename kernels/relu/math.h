// ReLU, the arithmetic: y = max(x, 0); dx = dy where y > 0.
#pragma once

#include "kernels/launch/host_device.h"

namespace dermatome::relu {
inline namespace DERMATOME_ISA {

template <typename T>
DERMATOME_HD T forward(T x) {
  return x > T(0) ? x : T(0);
}

// The output decides, so that the input need not be kept.
template <typename T>
DERMATOME_HD T backward(T dy, T y) {
  return y > T(0) ? dy : T(0);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::relu

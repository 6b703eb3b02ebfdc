// Leaky ReLU, the arithmetic (Maas et al. 2013): y = x where x > 0, else slope * x.
#pragma once

#include "kernels/launch/host_device.h"

namespace dermatome::leaky_relu {
inline namespace DERMATOME_ISA {

enum { kSlope };  // attributes, in the order of the signature

template <typename T>
DERMATOME_HD T forward(T x, T slope) {
  return x > T(0) ? x : slope * x;
}

template <typename T>
DERMATOME_HD T backward(T dy, T x, T slope) {
  return x > T(0) ? dy : slope * dy;
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::leaky_relu

// Clipping by the global norm, the arithmetic: as PyTorch's clip_grad_norm_ has it.
#pragma once

#include "kernels/launch/host_device.h"

namespace dermatome::clip_scale {
inline namespace DERMATOME_ISA {

enum { kMaxNorm };  // attributes, in the order of the signature

// `norm` is the root of the sum of all squares.
template <typename T>
DERMATOME_HD T scale_of(T norm, T max_norm) {
  const T scale = max_norm / (norm + T(1e-6));
  return scale < T(1) ? scale : T(1);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::clip_scale

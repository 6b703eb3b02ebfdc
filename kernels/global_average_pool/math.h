// Mean over the pixels of an image, the arithmetic.
#pragma once

#include <cstdint>

#include "kernels/launch/host_device.h"

namespace dermatome::global_average_pool {

// Of the gradient op.
enum Attribute { kHeight, kWidth };

inline namespace DERMATOME_ISA {

template <typename T>
DERMATOME_HD T mean(double sum, std::int64_t pixels) {
  return static_cast<T>(sum / static_cast<double>(pixels));
}

template <typename T>
DERMATOME_HD T share(T dy, std::int64_t pixels) {
  return dy / static_cast<T>(pixels);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::global_average_pool

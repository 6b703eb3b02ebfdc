// Exponential moving average, the arithmetic.
#pragma once

#include "kernels/launch/host_device.h"

namespace dermatome::moving_average {
inline namespace DERMATOME_ISA {

// Inputs before the tensors, and tensors each.
enum { kDecay, kFirstTensor };
enum { kAverage, kValue, kInputsEach };

// In this form an average that has arrived stays, to the bit.
template <typename T>
DERMATOME_HD T moved(T average, T value, T decay) {
  return average + (T(1) - decay) * (value - average);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::moving_average

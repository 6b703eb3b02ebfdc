// A constant tensor: the order of fill's attributes, and its value in each element type.
#pragma once

#include "kernels/launch/element_types.h"

namespace dermatome::fill {
inline namespace DERMATOME_ISA {

enum Attribute { kValue, kType, kRank, kExtent0 };

template <typename T>
DERMATOME_HD T constant(double value) {
  return launch::convert<T>(value);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::fill

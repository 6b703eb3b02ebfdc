// cast: the order of its attributes. The conversions themselves are shared: kernels/launch/element_types.h.
#pragma once

#include "engine/core/dtype.h"
#include "kernels/launch/element_types.h"

namespace dermatome::cast {

enum Attribute { kType };

// The choices of attributes named `type` lie in the order of DType, so that a choice's index is the type.
static_assert(static_cast<int>(DType::f32) == 0 && static_cast<int>(DType::bf16) == 1 &&
              static_cast<int>(DType::f64) == 2 && static_cast<int>(DType::u8) == 3 &&
              static_cast<int>(DType::i32) == 4);

using launch::Bfloat16;
using launch::bits_of;
using launch::convert;
using launch::float_of;

}  // namespace dermatome::cast

// Max pooling, the arithmetic: which input a window takes, and which windows an input lies in.
#pragma once

#include <cstdint>

#include "kernels/launch/host_device.h"

namespace dermatome::max_pool {

// Of both ops; the last two only of the gradient.
enum Attribute { kKernel, kStride, kPad, kHeight, kWidth };

inline namespace DERMATOME_ISA {

// Whether x takes the window over from the largest so far. The first of equals stays, and a NaN wins, as in PyTorch.
template <typename T>
DERMATOME_HD bool takes_over(T x, T largest) {
  return x > largest || x != x;
}

// Positions first .. behind - 1 along one axis.
struct Range {
  std::int64_t first;
  std::int64_t behind;
};

// The taps of a window that lie on the input; `start` is the window's first position and negative inside the padding.
DERMATOME_HD Range taps_inside(std::int64_t start, std::int64_t kernel, std::int64_t extent) {
  return {start < 0 ? -start : 0, start + kernel > extent ? extent - start : kernel};
}

// The windows that cover an input position.
DERMATOME_HD Range windows_over(std::int64_t position, std::int64_t kernel, std::int64_t stride, std::int64_t pad,
                                std::int64_t windows) {
  const std::int64_t padded = position + pad;
  const std::int64_t last = padded / stride;
  return {padded < kernel ? 0 : (padded - kernel) / stride + 1, last + 1 < windows ? last + 1 : windows};
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::max_pool

// What follows a convolution's sums before they are stored: the bias alone, or all that conv2d_fused does.
// Multiplication and addition stay apart, as in batch_norm and add_relu, so a fused convolution has the bits of the
// separate nodes.
#pragma once

#include "kernels/conv2d/geometry.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/simd.h"

namespace dermatome::conv2d {
inline namespace DERMATOME_ISA {

using launch::Index;
using launch::Vec;

struct AddBias {
  const float* bias;  // null: none

  DERMATOME_HD bool does_nothing() const { return bias == nullptr; }

  // For the channels that a register holds.
  struct Channels {
    Vec bias;
    DERMATOME_HD Vec operator()(Vec sum, Index) const { return sum + bias; }
  };
  DERMATOME_HD Channels at(Index channel) const { return {bias != nullptr ? launch::load(bias + channel) : Vec{}}; }

  // One value whose bias is in it already.
  DERMATOME_HD float behind_bias(float sum, Index, Index) const { return sum; }
};

// y = relu(relu_first(sum + bias) * scale + shift + residual), each part where it is given.
template <typename T>
struct Epilogue {
  const float* bias;
  const float* scale;  // with shift or not at all
  const float* shift;
  const T* residual;  // laid out as y
  bool relu_first, relu;

  DERMATOME_HD bool does_nothing() const { return false; }

  struct Channels {
    Vec bias, scale, shift;
    const T* residual;
    bool relu_first, scaled, relu;

    // `element`: where the first of these channels lies in y.
    DERMATOME_HD Vec operator()(Vec sum, Index element) const {
      Vec y = sum + bias;
      if (relu_first) y = launch::positive_part(y);
      if (scaled) y = y * scale + shift;
      if (residual != nullptr) y = y + launch::load(residual + element);
      return relu ? launch::positive_part(y) : y;
    }
  };
  DERMATOME_HD Channels at(Index channel) const {
    const auto part = [channel](const float* from) { return from != nullptr ? launch::load(from + channel) : Vec{}; };
    return {part(bias), part(scale), part(shift), residual, relu_first, scale != nullptr, relu};
  }

  DERMATOME_HD float behind_bias(float sum, Index channel, Index element) const {
    float y = relu_first && !(sum > 0) ? 0 : sum;
    if (scale != nullptr) y = y * scale[channel] + shift[channel];
    if (residual != nullptr) y = y + launch::load(residual[element]);
    return relu && !(y > 0) ? 0 : y;
  }
};

template <typename T>
DERMATOME_HD Epilogue<T> epilogue_of(const Call& call) {
  return {.bias = launch::in<float>(call, kBias),
          .scale = launch::in<float>(call, kScale),
          .shift = launch::in<float>(call, kShift),
          .residual = launch::in<T>(call, kResidual),
          .relu_first = launch::integer(call, kReluFirst) != 0,
          .relu = launch::integer(call, kRelu) != 0};
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::conv2d

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

  // For the channels that a register holds.
  struct Channels {
    Vec bias;
    DERMATOME_HD Vec operator()(Vec sum, Index) const { return sum + bias; }
  };
  DERMATOME_HD Channels at(Index channel) const { return {bias != nullptr ? launch::load(bias + channel) : Vec{}}; }

  // The same for channels from `channel` on and a y that begins at `element`.
  DERMATOME_HD AddBias from(Index channel, Index) const { return {bias != nullptr ? bias + channel : nullptr}; }

  template <typename F>
  DERMATOME_HD void visit(const F& f) const {
    f(*this);
  }

  // One value whose bias is in it already.
  DERMATOME_HD float behind_bias(float sum, Index, Index) const { return sum; }
};

// What convolutions of residual networks ask for: no bias, always a scale and a shift. Where the rest is known to the
// compiler too, nothing is left to branch on, which in Winograd's output transform would take as long as separate
// passes.
template <typename T, bool kWithResidual, bool kWithRelu>
struct KnownEpilogue {
  const float *scale, *shift;
  const T* residual;

  struct Channels {
    Vec scale, shift;
    const T* residual;
    DERMATOME_HD Vec operator()(Vec sum, Index element) const {
      Vec y = sum * scale + shift;
      if constexpr (kWithResidual) y = y + launch::load(residual + element);
      if constexpr (kWithRelu) y = launch::positive_part(y);
      return y;
    }
  };
  DERMATOME_HD Channels at(Index channel) const {
    return {launch::load(scale + channel), launch::load(shift + channel), residual};
  }
};

// y = relu(relu_first(sum + bias) * scale + shift + residual), each part where it is given.
template <typename T>
struct Epilogue {
  const float* bias;
  const float* scale;  // with shift or not at all
  const float* shift;
  const T* residual;  // laid out as y
  bool relu_first, relu;

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

  DERMATOME_HD Epilogue from(Index channel, Index element) const {
    const auto part = [channel](const float* whole) { return whole != nullptr ? whole + channel : nullptr; };
    return {part(bias), part(scale), part(shift), residual != nullptr ? residual + element : nullptr, relu_first, relu};
  }

  // f(this, or the same with all that is known): for loops in which branches would count.
  template <typename F>
  DERMATOME_HD void visit(const F& f) const {
    if (bias != nullptr || scale == nullptr || relu_first) return f(*this);
    if (residual == nullptr && relu) return f(KnownEpilogue<T, false, true>{scale, shift, residual});
    if (residual == nullptr) return f(KnownEpilogue<T, false, false>{scale, shift, residual});
    if (relu) return f(KnownEpilogue<T, true, true>{scale, shift, residual});
    f(*this);
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

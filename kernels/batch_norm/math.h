// Batch normalisation, the arithmetic (Ioffe & Szegedy 2015, arXiv 1502.03167).
#pragma once

#include "kernels/launch/host_device.h"

namespace dermatome::batch_norm {
inline namespace DERMATOME_ISA {

// Attributes of batch_norm in the order of its signature.
enum { kEpsilon, kMomentum, kMode };
enum { kModeTrain, kModeFrozen, kModeEval };

// y = x * scale + shift with scale = gamma / sqrt(var + eps), shift = beta - mean * scale.
template <typename T>
struct Affine {
  T scale, shift;
};

template <typename T>
DERMATOME_HD Affine<T> affine(T gamma, T beta, T mean, T inverse_deviation) {
  const T scale = gamma * inverse_deviation;
  return {scale, beta - mean * scale};
}

template <typename T>
DERMATOME_HD T apply(Affine<T> a, T x) {
  return x * a.scale + a.shift;
}

// Running statistics: new = old + momentum * (batch - old).
template <typename T>
DERMATOME_HD T running(T old, T batch, T momentum) {
  return old + momentum * (batch - old);
}

// dx of training-mode batch norm as a * dy + b * x + c, from the sums over a channel's `count` elements.
template <typename T>
struct InputGradient {
  T dy_factor, x_factor, constant;
};

template <typename T>
DERMATOME_HD InputGradient<T> input_gradient(T gamma, T mean, T inverse_deviation, T dgamma, T dbeta, T count) {
  const T a = gamma * inverse_deviation;
  const T b = -a * inverse_deviation * dgamma / count;
  return {a, b, -a * dbeta / count - b * mean};
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::batch_norm

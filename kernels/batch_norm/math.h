// Batch normalisation, the arithmetic (Ioffe & Szegedy 2015, arXiv 1502.03167).
#pragma once

#include <math.h>

#include <cstdint>

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

// What a channel's statistics become in f32 operands, on every device. Outputs may be null, but for scale and shift.
struct Forward {
  const float *gamma, *beta, *running_mean, *running_var;
  float *mean, *inverse_deviation, *new_running_mean, *new_running_var;  // null but in mode train
  float *scale, *shift;                                                  // of x * scale + shift
  double epsilon;
  float momentum;

  DERMATOME_HD void set_affine(std::int64_t c, double mean_value, double inverse) const {
    const auto a = affine<double>(static_cast<double>(gamma[c]), static_cast<double>(beta[c]), mean_value, inverse);
    if (scale != nullptr) scale[c] = static_cast<float>(a.scale);
    if (shift != nullptr) shift[c] = static_cast<float>(a.shift);
  }
  // By the running statistics.
  DERMATOME_HD void fixed(std::int64_t c) const {
    set_affine(c, static_cast<double>(running_mean[c]), 1.0 / ::sqrt(static_cast<double>(running_var[c]) + epsilon));
  }
  // By those of `count` values, with the variance over all of them.
  DERMATOME_HD void batch(std::int64_t c, double mean_value, double variance, double count) const {
    const double inverse = 1.0 / ::sqrt(variance + epsilon);
    set_affine(c, mean_value, inverse);
    const auto unbiased = static_cast<float>(variance * count / (count - 1));
    if (mean != nullptr) mean[c] = static_cast<float>(mean_value);
    if (inverse_deviation != nullptr) inverse_deviation[c] = static_cast<float>(inverse);
    if (new_running_mean != nullptr) {
      new_running_mean[c] = running(running_mean[c], static_cast<float>(mean_value), momentum);
    }
    if (new_running_var != nullptr) new_running_var[c] = running(running_var[c], unbiased, momentum);
  }
};

// The gradients out of a channel's sums of dy and of dy * (x - mean), on every device.
template <bool kFixedStatistics>
struct Backward {
  const float *gamma, *mean, *last;  // last: the inverse deviation, or with fixed statistics the running variance
  float *dgamma, *dbeta;             // may be null
  float* factors;                    // [3][channels] of dx
  std::int64_t channels;
  double epsilon, count;

  DERMATOME_HD void finish(std::int64_t c, const double* sums) const {
    const auto given = static_cast<double>(last[c]);
    const double inverse = kFixedStatistics ? 1.0 / ::sqrt(given + epsilon) : given;
    const double sum_normalised = sums[1] * inverse;
    if (dgamma != nullptr) dgamma[c] = static_cast<float>(sum_normalised);
    if (dbeta != nullptr) dbeta[c] = static_cast<float>(sums[0]);
    const auto g = kFixedStatistics
                       ? InputGradient<double>{static_cast<double>(gamma[c]) * inverse, 0, 0}
                       : input_gradient<double>(static_cast<double>(gamma[c]), static_cast<double>(mean[c]), inverse,
                                                sum_normalised, sums[0], count);
    factors[c] = static_cast<float>(g.dy_factor);
    factors[channels + c] = static_cast<float>(g.x_factor);
    factors[2 * channels + c] = static_cast<float>(g.constant);
  }
  DERMATOME_HD float dx(std::int64_t c, float dy, float x) const {
    const float from_dy = factors[c] * dy;
    if constexpr (kFixedStatistics) return from_dy;
    const float from_x = factors[channels + c] * x + factors[2 * channels + c];
    return from_dy + from_x;
  }
};

}  // namespace DERMATOME_ISA
}  // namespace dermatome::batch_norm

// Adam, the arithmetic (Kingma & Ba 2014, arXiv 1412.6980, algorithm 1), with weight decay as L2 added to the gradient.
#pragma once

#include "kernels/launch/host_device.h"

namespace dermatome::adam {
inline namespace DERMATOME_ISA {

// Attributes of adam in the order of its signature, inputs before the parameters, tensors a parameter.
enum { kBeta2, kEpsilon, kWeightDecay };
enum { kStep, kBeta1, kRates, kGroups, kGradientScale, kFirstParameter };
enum { kWeight, kFirstMoment, kSecondMoment, kGradient, kInputsEach };
constexpr int kOutputsEach = 3;

// What is the same for every element of a parameter in one step.
template <typename T>
struct Step {
  T beta1, beta2, epsilon, weight_decay;
  T rate_corrected;       // rate / (1 - beta1^t)
  T inverse_sqrt_second;  // 1 / sqrt(1 - beta2^t)
  T gradient_scale;       // of clipping; 1 without
};

template <typename T>
struct Element {
  T weight, first, second;
};

// sqrt_of: the square root of T, passed in so that host and device take their own.
template <typename T, typename Sqrt>
DERMATOME_HD Element<T> update(const Step<T>& s, Element<T> e, T gradient, const Sqrt& sqrt_of) {
  const T g = s.gradient_scale * gradient + s.weight_decay * e.weight;
  e.first = s.beta1 * e.first + (T(1) - s.beta1) * g;
  e.second = s.beta2 * e.second + (T(1) - s.beta2) * g * g;
  e.weight -= s.rate_corrected * e.first / (sqrt_of(e.second) * s.inverse_sqrt_second + s.epsilon);
  return e;
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::adam

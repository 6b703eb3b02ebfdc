// adam, the specification, as the paper's algorithm 1 states it.
#include <cmath>

#include "kernels/adam/math.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

using namespace adam;  // the enumerators

template <typename T>
void run(const Call& call) {
  const T beta1 = launch::in<T>(call, kBeta1)[0];
  const T beta2 = static_cast<T>(launch::real(call, kBeta2));
  const T epsilon = static_cast<T>(launch::real(call, kEpsilon));
  const T weight_decay = static_cast<T>(launch::real(call, kWeightDecay));
  const T* scale = launch::in<T>(call, kGradientScale);
  const int parameters = (call.input_count - kFirstParameter) / kInputsEach;
  for (int p = 0; p < parameters; ++p) {
    const int in = kFirstParameter + p * kInputsEach;
    const std::int32_t group = launch::in<std::int32_t>(call, kGroups)[p];
    const T rate = launch::in<T>(call, kRates)[group];
    const T t = launch::in<T>(call, kStep)[group];
    for (std::int64_t i = 0; i < call.inputs[in].elements; ++i) {
      const T weight = launch::in<T>(call, in + kWeight)[i];
      const T clipped = launch::in<T>(call, in + kGradient)[i] * (scale == nullptr ? 1 : scale[0]);
      const T gradient = clipped + weight_decay * weight;
      const T first = beta1 * launch::in<T>(call, in + kFirstMoment)[i] + (1 - beta1) * gradient;
      const T second = beta2 * launch::in<T>(call, in + kSecondMoment)[i] + (1 - beta2) * gradient * gradient;
      const T first_corrected = first / (1 - std::pow(beta1, t));
      const T second_corrected = second / (1 - std::pow(beta2, t));
      if (T* to = launch::out<T>(call, p * kOutputsEach); to != nullptr) {
        to[i] = weight - rate * first_corrected / (std::sqrt(second_corrected) + epsilon);
      }
      if (T* to = launch::out<T>(call, p * kOutputsEach + 1); to != nullptr) to[i] = first;
      if (T* to = launch::out<T>(call, p * kOutputsEach + 2); to != nullptr) to[i] = second;
    }
  }
}

DERMATOME_REFERENCE({"adam", DType::f32, run<float>}, {"adam", DType::f64, run<double>});

}  // namespace
}  // namespace dermatome

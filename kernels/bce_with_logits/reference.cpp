// bce_with_logits and multiply_by_scalar, the specification.
#include <cmath>

#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

template <typename T>
void loss(const Call& call) {
  const T* logits = launch::in<T>(call, 0);
  const T* target = launch::in<T>(call, 1);
  const T divisor = launch::in<T>(call, 2)[0];
  T* loss = launch::out<T>(call, 0);
  std::int32_t* counts = launch::out<std::int32_t>(call, 1);
  T* unit_gradient = launch::out<T>(call, 2);
  const std::int64_t images = call.inputs[0].extent[0];
  const std::int64_t pixels = images == 0 ? 0 : call.inputs[0].elements / images;
  double sum = 0;
  for (std::int64_t n = 0; n < images; ++n) {
    std::int32_t found[2][2] = {};  // [truth][prediction]
    for (std::int64_t i = n * pixels; i < (n + 1) * pixels; ++i) {
      const T x = logits[i], t = target[i];
      sum += static_cast<double>(std::max(x, T(0)) - x * t + std::log1p(std::exp(-std::abs(x))));
      ++found[t > T(0.5)][x > 0];
      if (unit_gradient != nullptr) unit_gradient[i] = (1 / (1 + std::exp(-x)) - t) / divisor;
    }
    const std::int32_t columns[4] = {found[1][1], found[0][1], found[1][0], found[0][0]};
    for (int k = 0; counts != nullptr && k < 4; ++k) counts[n * 4 + k] = columns[k];
  }
  if (loss != nullptr) loss[0] = static_cast<T>(sum / static_cast<double>(divisor));
}

template <typename T>
void multiply(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  const T factor = launch::in<T>(call, 1)[0];
  const T divisor = call.inputs[2].data == nullptr ? T(1) : launch::in<T>(call, 2)[0];
  T* y = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) y[i] = x[i] * factor / divisor;
}

DERMATOME_REFERENCE({"bce_with_logits", DType::f32, loss<float>}, {"bce_with_logits", DType::f64, loss<double>},
                    {"multiply_by_scalar", DType::f32, multiply<float>},
                    {"multiply_by_scalar", DType::f64, multiply<double>});

}  // namespace
}  // namespace dermatome

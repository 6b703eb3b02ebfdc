// sigmoid and sigmoid_gradient, the specification.
#include <cmath>

#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

template <typename T>
void forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) y[i] = 1 / (1 + std::exp(-x[i]));
}

template <typename T>
void backward(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  const T* y = launch::in<T>(call, 1);
  T* dx = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) dx[i] = dy[i] * y[i] * (1 - y[i]);
}

DERMATOME_REFERENCE({"sigmoid", DType::f32, forward<float>}, {"sigmoid", DType::f64, forward<double>},
                    {"sigmoid_gradient", DType::f32, backward<float>},
                    {"sigmoid_gradient", DType::f64, backward<double>});

}  // namespace
}  // namespace dermatome

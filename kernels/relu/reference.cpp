// relu and relu_gradient, the specification.
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

template <typename T>
void forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) y[i] = x[i] > 0 ? x[i] : 0;
}

template <typename T>
void backward(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  const T* y = launch::in<T>(call, 1);
  T* dx = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) dx[i] = y[i] > 0 ? dy[i] : 0;
}

DERMATOME_REFERENCE({"relu", DType::f32, forward<float>}, {"relu", DType::f64, forward<double>},
                    {"relu_gradient", DType::f32, backward<float>}, {"relu_gradient", DType::f64, backward<double>});

}  // namespace
}  // namespace dermatome

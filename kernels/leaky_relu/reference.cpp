// leaky_relu and its gradient, the specification.
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"
#include "kernels/leaky_relu/math.h"

namespace dermatome {
namespace {

template <typename T>
void forward(const Call& call) {
  const auto slope = static_cast<T>(launch::real(call, leaky_relu::kSlope));
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

template <typename T>
void backward(const Call& call) {
  const auto slope = static_cast<T>(launch::real(call, leaky_relu::kSlope));
  const T* dy = launch::in<T>(call, 0);
  const T* x = launch::in<T>(call, 1);
  T* dx = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) dx[i] = x[i] > 0 ? dy[i] : slope * dy[i];
}

DERMATOME_REFERENCE({"leaky_relu", DType::f32, forward<float>}, {"leaky_relu", DType::f64, forward<double>},
                    {"leaky_relu_gradient", DType::f32, backward<float>},
                    {"leaky_relu_gradient", DType::f64, backward<double>});

}  // namespace
}  // namespace dermatome

// global_average_pool and its gradient, the specification.
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

template <typename T>
void forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  const std::int64_t channels = call.inputs[0].extent[3];
  const std::int64_t pixels = call.inputs[0].extent[1] * call.inputs[0].extent[2];
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) {
    const std::int64_t n = i / channels, c = i % channels;
    double sum = 0;
    for (std::int64_t p = 0; p < pixels; ++p) sum += static_cast<double>(x[(n * pixels + p) * channels + c]);
    y[i] = static_cast<T>(sum / static_cast<double>(pixels));
  }
}

template <typename T>
void backward(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  T* dx = launch::out<T>(call, 0);
  const std::int64_t channels = call.outputs[0].extent[3];
  const std::int64_t pixels = call.outputs[0].extent[1] * call.outputs[0].extent[2];
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) {
    dx[i] = dy[i / (pixels * channels) * channels + i % channels] / static_cast<T>(pixels);
  }
}

DERMATOME_REFERENCE({"global_average_pool", DType::f32, forward<float>},
                    {"global_average_pool", DType::f64, forward<double>},
                    {"global_average_pool_gradient", DType::f32, backward<float>},
                    {"global_average_pool_gradient", DType::f64, backward<double>});

}  // namespace
}  // namespace dermatome

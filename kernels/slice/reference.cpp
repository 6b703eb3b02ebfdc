// slice and slice_gradient, the specification.
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"
#include "kernels/slice/math.h"

namespace dermatome {
namespace {

template <typename T>
void forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  const std::int64_t begin = launch::integer(call, slice::kBegin);
  const std::int64_t channels = call.inputs[0].extent[call.inputs[0].rank - 1];
  const std::int64_t kept = launch::integer(call, slice::kChannels);
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) y[i] = x[i / kept * channels + begin + i % kept];
}

template <typename T>
void backward(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  T* dx = launch::out<T>(call, 0);
  const std::int64_t begin = launch::integer(call, slice::kBegin);
  const std::int64_t kept = call.inputs[0].extent[call.inputs[0].rank - 1];
  const std::int64_t channels = launch::integer(call, slice::kChannels);
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) dx[i] = 0;
  for (std::int64_t i = 0; i < call.inputs[0].elements; ++i) dx[i / kept * channels + begin + i % kept] = dy[i];
}

DERMATOME_REFERENCE({"slice", DType::f32, forward<float>}, {"slice", DType::f64, forward<double>},
                    {"slice_gradient", DType::f32, backward<float>}, {"slice_gradient", DType::f64, backward<double>});

}  // namespace
}  // namespace dermatome

// channel_sum, the specification.
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

template <typename T>
void run(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* sums = launch::out<T>(call, 0);
  const std::int64_t channels = call.outputs[0].elements;
  for (std::int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (std::int64_t i = c; i < call.inputs[0].elements; i += channels) sum += static_cast<double>(x[i]);
    sums[c] = static_cast<T>(sum);
  }
}

DERMATOME_REFERENCE({"channel_sum", DType::f32, run<float>}, {"channel_sum", DType::f64, run<double>});

}  // namespace
}  // namespace dermatome

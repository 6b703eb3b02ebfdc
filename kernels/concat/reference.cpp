// concat, the specification.
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

template <typename T>
void run(const Call& call) {
  T* y = launch::out<T>(call, 0);
  const std::int64_t channels = call.outputs[0].extent[call.outputs[0].rank - 1];
  std::int64_t begin = 0;
  for (int k = 0; k < call.input_count; ++k) {
    const T* x = launch::in<T>(call, k);
    const std::int64_t width = call.inputs[k].extent[call.inputs[k].rank - 1];
    for (std::int64_t i = 0; i < call.inputs[k].elements; ++i) y[i / width * channels + begin + i % width] = x[i];
    begin += width;
  }
}

DERMATOME_REFERENCE({"concat", DType::f32, run<float>}, {"concat", DType::f64, run<double>});

}  // namespace
}  // namespace dermatome

// moving_average, the specification.
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"
#include "kernels/moving_average/math.h"

namespace dermatome {
namespace {

using namespace moving_average;  // the enumerators

template <typename T>
void run(const Call& call) {
  const T decay = launch::in<T>(call, kDecay)[0];
  for (int in = kFirstTensor, out = 0; in < call.input_count; in += kInputsEach, ++out) {
    const T* average = launch::in<T>(call, in + kAverage);
    const T* value = launch::in<T>(call, in + kValue);
    T* to = launch::out<T>(call, out);
    for (std::int64_t i = 0; to != nullptr && i < call.inputs[in].elements; ++i)
      to[i] = decay * average[i] + (1 - decay) * value[i];
  }
}

DERMATOME_REFERENCE({"moving_average", DType::f32, run<float>}, {"moving_average", DType::f64, run<double>});

}  // namespace
}  // namespace dermatome

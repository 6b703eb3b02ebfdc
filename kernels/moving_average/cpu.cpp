// moving_average on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"
#include "kernels/moving_average/math.h"

namespace dermatome::moving_average {
namespace {

void run(const Call& call) {
  const float decay = launch::in<float>(call, kDecay)[0];
  for (int in = kFirstTensor, out = 0; in < call.input_count; in += kInputsEach, ++out) {
    const float* average = launch::in<float>(call, in + kAverage);
    const float* value = launch::in<float>(call, in + kValue);
    float* to = launch::out<float>(call, out);
    if (to == nullptr) continue;
    launch::for_each(call.inputs[in].elements, [=](std::int64_t i) { to[i] = moved(average[i], value[i], decay); });
  }
}

}  // namespace
}  // namespace dermatome::moving_average

DERMATOME_CPU_TABLE(moving_average, {"moving_average", DType::f32, moving_average::run})

// scale on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"
#include "kernels/scale/math.h"

namespace dermatome::scale {
namespace {

void run(const Call& call) {
  const float* x = launch::in<float>(call, 0);
  float* y = launch::out<float>(call, 0);
  const float factor = static_cast<float>(launch::real(call, kFactor));
  launch::for_each(call.outputs[0].elements, [=](std::int64_t i) { y[i] = forward(x[i], factor); });
}

}  // namespace
}  // namespace dermatome::scale

DERMATOME_CPU_TABLE(scale, {"scale", DType::f32, scale::run})

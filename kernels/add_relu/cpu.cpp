// add_relu on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/add_relu/math.h"
#include "kernels/launch/table.h"

namespace dermatome::add_relu {
namespace {

void run(const Call& call) {
  const float* a = launch::in<float>(call, 0);
  const float* b = launch::in<float>(call, 1);
  float* y = launch::out<float>(call, 0);
  launch::for_each(call.outputs[0].elements, [=](std::int64_t i) { y[i] = forward(a[i], b[i]); });
}

}  // namespace
}  // namespace dermatome::add_relu

DERMATOME_CPU_TABLE(add_relu, {"add_relu", DType::f32, add_relu::run})

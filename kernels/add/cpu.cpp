// add on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/add/math.h"
#include "kernels/launch/table.h"

namespace dermatome::add {
namespace {

void run(const Call& call) {
  const float* a = launch::in<float>(call, 0);
  const float* b = launch::in<float>(call, 1);
  float* sum = launch::out<float>(call, 0);
  launch::for_each(call.outputs[0].elements, [=](std::int64_t i) { sum[i] = forward(a[i], b[i]); });
}

}  // namespace
}  // namespace dermatome::add

DERMATOME_CPU_TABLE(add, {"add", DType::f32, add::run})

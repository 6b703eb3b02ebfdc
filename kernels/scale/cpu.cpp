// scale on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"
#include "kernels/scale/math.h"

namespace dermatome::scale {
namespace {

template <typename T>
void run(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  const float factor = static_cast<float>(launch::real(call, kFactor));
  launch::for_each(call.outputs[0].elements,
                   [=](std::int64_t i) { y[i] = launch::store<T>(forward(launch::load(x[i]), factor)); });
}

}  // namespace
}  // namespace dermatome::scale

DERMATOME_CPU_TABLE(scale, {"scale", DType::f32, scale::run<float>},
                    {"scale", DType::bf16, scale::run<launch::Bfloat16>})

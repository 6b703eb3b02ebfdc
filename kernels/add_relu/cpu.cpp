// add_relu on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/add_relu/math.h"
#include "kernels/launch/table.h"

namespace dermatome::add_relu {
namespace {

using launch::load;
using launch::store;

template <typename T>
void run(const Call& call) {
  const T* a = launch::in<T>(call, 0);
  const T* b = launch::in<T>(call, 1);
  T* y = launch::out<T>(call, 0);
  launch::for_each(call.outputs[0].elements, [=](std::int64_t i) { y[i] = store<T>(forward(load(a[i]), load(b[i]))); });
}

}  // namespace
}  // namespace dermatome::add_relu

DERMATOME_CPU_TABLE(add_relu, {"add_relu", DType::f32, add_relu::run<float>},
                    {"add_relu", DType::bf16, add_relu::run<launch::Bfloat16>})

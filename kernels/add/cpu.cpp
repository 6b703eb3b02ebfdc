// add on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/add/math.h"
#include "kernels/launch/table.h"

namespace dermatome::add {
namespace {

using launch::load;
using launch::store;

template <typename T>
void run(const Call& call) {
  const T* a = launch::in<T>(call, 0);
  const T* b = launch::in<T>(call, 1);
  T* sum = launch::out<T>(call, 0);
  launch::for_each(call.outputs[0].elements,
                   [=](std::int64_t i) { sum[i] = store<T>(forward(load(a[i]), load(b[i]))); });
}

}  // namespace
}  // namespace dermatome::add

DERMATOME_CPU_TABLE(add, {"add", DType::f32, add::run<float>}, {"add", DType::bf16, add::run<launch::Bfloat16>})

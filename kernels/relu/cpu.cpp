// relu and relu_gradient on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"
#include "kernels/relu/math.h"

namespace dermatome::relu {
namespace {

using launch::load;
using launch::store;

template <typename T>
void run_forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  launch::for_each(call.inputs[0].elements, [=](std::int64_t i) { y[i] = store<T>(forward(load(x[i]))); });
}

template <typename T>
void run_backward(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  const T* y = launch::in<T>(call, 1);
  T* dx = launch::out<T>(call, 0);
  launch::for_each(call.inputs[0].elements,
                   [=](std::int64_t i) { dx[i] = store<T>(backward(load(dy[i]), load(y[i]))); });
}

}  // namespace
}  // namespace dermatome::relu

DERMATOME_CPU_TABLE(relu, {"relu", DType::f32, relu::run_forward<float>},
                    {"relu", DType::bf16, relu::run_forward<launch::Bfloat16>},
                    {"relu_gradient", DType::f32, relu::run_backward<float>},
                    {"relu_gradient", DType::bf16, relu::run_backward<launch::Bfloat16>})

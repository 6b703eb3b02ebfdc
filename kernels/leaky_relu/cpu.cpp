// leaky_relu and its gradient on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"
#include "kernels/leaky_relu/math.h"

namespace dermatome::leaky_relu {
namespace {

using launch::load;
using launch::store;

template <typename T>
void run_forward(const Call& call) {
  const auto slope = static_cast<float>(launch::real(call, kSlope));
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  launch::for_each(call.inputs[0].elements, [=](std::int64_t i) { y[i] = store<T>(forward(load(x[i]), slope)); });
}

template <typename T>
void run_backward(const Call& call) {
  const auto slope = static_cast<float>(launch::real(call, kSlope));
  const T* dy = launch::in<T>(call, 0);
  const T* x = launch::in<T>(call, 1);
  T* dx = launch::out<T>(call, 0);
  launch::for_each(call.inputs[0].elements,
                   [=](std::int64_t i) { dx[i] = store<T>(backward(load(dy[i]), load(x[i]), slope)); });
}

}  // namespace
}  // namespace dermatome::leaky_relu

DERMATOME_CPU_TABLE(leaky_relu, {"leaky_relu", DType::f32, leaky_relu::run_forward<float>},
                    {"leaky_relu", DType::bf16, leaky_relu::run_forward<launch::Bfloat16>},
                    {"leaky_relu_gradient", DType::f32, leaky_relu::run_backward<float>},
                    {"leaky_relu_gradient", DType::bf16, leaky_relu::run_backward<launch::Bfloat16>})

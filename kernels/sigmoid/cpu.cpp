// sigmoid and sigmoid_gradient on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"
#include "kernels/sigmoid/math.h"

namespace dermatome::sigmoid {
namespace {

void run_forward(const Call& call) {
  const float* x = launch::in<float>(call, 0);
  float* y = launch::out<float>(call, 0);
  launch::for_each(call.outputs[0].elements, [=](std::int64_t i) { y[i] = forward(x[i]); });
}

void run_backward(const Call& call) {
  const float* dy = launch::in<float>(call, 0);
  const float* y = launch::in<float>(call, 1);
  float* dx = launch::out<float>(call, 0);
  launch::for_each(call.outputs[0].elements, [=](std::int64_t i) { dx[i] = backward(dy[i], y[i]); });
}

}  // namespace
}  // namespace dermatome::sigmoid

DERMATOME_CPU_TABLE(sigmoid, {"sigmoid", DType::f32, sigmoid::run_forward},
                    {"sigmoid_gradient", DType::f32, sigmoid::run_backward})

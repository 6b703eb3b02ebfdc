// leaky_relu and its gradient on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"
#include "kernels/leaky_relu/math.h"

namespace dermatome::leaky_relu {
namespace {

void run_forward(const Call& call) {
  const auto slope = static_cast<float>(launch::real(call, kSlope));
  const float* x = launch::in<float>(call, 0);
  float* y = launch::out<float>(call, 0);
  launch::for_each(call.inputs[0].elements, [=](std::int64_t i) { y[i] = forward(x[i], slope); });
}

void run_backward(const Call& call) {
  const auto slope = static_cast<float>(launch::real(call, kSlope));
  const float* dy = launch::in<float>(call, 0);
  const float* x = launch::in<float>(call, 1);
  float* dx = launch::out<float>(call, 0);
  launch::for_each(call.inputs[0].elements, [=](std::int64_t i) { dx[i] = backward(dy[i], x[i], slope); });
}

}  // namespace
}  // namespace dermatome::leaky_relu

DERMATOME_CPU_TABLE(leaky_relu, {"leaky_relu", DType::f32, leaky_relu::run_forward},
                    {"leaky_relu_gradient", DType::f32, leaky_relu::run_backward})

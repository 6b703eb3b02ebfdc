// leaky_relu and its gradient on CUDA.
#include "kernels/launch/cuda.cuh"
#include "kernels/leaky_relu/math.h"

namespace dermatome::leaky_relu {
namespace {

using launch::cuda::Index;

template <typename T>
void run_forward(const Call& call) {
  const auto slope = static_cast<float>(launch::real(call, kSlope));
  launch::cuda::map(
      call, call.outputs[0].elements, launch::out<T>(call, 0),
      DERMATOME_LAMBDA(Index, float x) { return forward(x, slope); }, launch::in<T>(call, 0));
}

template <typename T>
void run_backward(const Call& call) {
  const auto slope = static_cast<float>(launch::real(call, kSlope));
  launch::cuda::map(
      call, call.outputs[0].elements, launch::out<T>(call, 0),
      DERMATOME_LAMBDA(Index, float dy, float x) { return backward(dy, x, slope); }, launch::in<T>(call, 0),
      launch::in<T>(call, 1));
}

}  // namespace
}  // namespace dermatome::leaky_relu

DERMATOME_CUDA_TABLE(leaky_relu, {"leaky_relu", DType::f32, leaky_relu::run_forward<float>},
                     {"leaky_relu", DType::bf16, leaky_relu::run_forward<launch::Bfloat16>},
                     {"leaky_relu_gradient", DType::f32, leaky_relu::run_backward<float>},
                     {"leaky_relu_gradient", DType::bf16, leaky_relu::run_backward<launch::Bfloat16>})

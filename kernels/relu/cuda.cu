// relu and relu_gradient on CUDA.
#include "kernels/launch/cuda.cuh"
#include "kernels/relu/math.h"

namespace dermatome::relu {
namespace {

using launch::cuda::Index;

template <typename T>
void run_forward(const Call& call) {
  launch::cuda::map(
      call, call.outputs[0].elements, launch::out<T>(call, 0), DERMATOME_LAMBDA(Index, float x) { return forward(x); },
      launch::in<T>(call, 0));
}

template <typename T>
void run_backward(const Call& call) {
  launch::cuda::map(
      call, call.outputs[0].elements, launch::out<T>(call, 0),
      DERMATOME_LAMBDA(Index, float dy, float y) { return backward(dy, y); }, launch::in<T>(call, 0),
      launch::in<T>(call, 1));
}

}  // namespace
}  // namespace dermatome::relu

DERMATOME_CUDA_TABLE(relu, {"relu", DType::f32, relu::run_forward<float>},
                     {"relu", DType::bf16, relu::run_forward<launch::Bfloat16>},
                     {"relu_gradient", DType::f32, relu::run_backward<float>},
                     {"relu_gradient", DType::bf16, relu::run_backward<launch::Bfloat16>})

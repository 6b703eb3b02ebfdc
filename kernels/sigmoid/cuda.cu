// sigmoid and sigmoid_gradient on CUDA.
#include "kernels/launch/cuda.cuh"
#include "kernels/sigmoid/math.h"

namespace dermatome::sigmoid {
namespace {

using launch::cuda::Index;

void run_forward(const Call& call) {
  launch::cuda::map(
      call, call.outputs[0].elements, launch::out<float>(call, 0),
      DERMATOME_LAMBDA(Index, float x) { return forward(x); }, launch::in<float>(call, 0));
}

void run_backward(const Call& call) {
  launch::cuda::map(
      call, call.outputs[0].elements, launch::out<float>(call, 0),
      DERMATOME_LAMBDA(Index, float dy, float y) { return backward(dy, y); }, launch::in<float>(call, 0),
      launch::in<float>(call, 1));
}

}  // namespace
}  // namespace dermatome::sigmoid

DERMATOME_CUDA_TABLE(sigmoid, {"sigmoid", DType::f32, sigmoid::run_forward},
                     {"sigmoid_gradient", DType::f32, sigmoid::run_backward})

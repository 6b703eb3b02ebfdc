// add_relu on CUDA.
#include "kernels/add_relu/math.h"
#include "kernels/launch/cuda.cuh"

namespace dermatome::add_relu {
namespace {

template <typename T>
void run(const Call& call) {
  launch::cuda::map(
      call, call.outputs[0].elements, launch::out<T>(call, 0),
      DERMATOME_LAMBDA(launch::cuda::Index, float a, float b) { return forward(a, b); }, launch::in<T>(call, 0),
      launch::in<T>(call, 1));
}

}  // namespace
}  // namespace dermatome::add_relu

DERMATOME_CUDA_TABLE(add_relu, {"add_relu", DType::f32, add_relu::run<float>},
                     {"add_relu", DType::bf16, add_relu::run<launch::Bfloat16>})

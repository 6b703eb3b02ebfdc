// add on CUDA.
#include "kernels/add/math.h"
#include "kernels/launch/cuda.cuh"

namespace dermatome::add {
namespace {

template <typename T>
void run(const Call& call) {
  launch::cuda::map(
      call, call.outputs[0].elements, launch::out<T>(call, 0),
      DERMATOME_LAMBDA(launch::cuda::Index, float a, float b) { return forward(a, b); }, launch::in<T>(call, 0),
      launch::in<T>(call, 1));
}

}  // namespace
}  // namespace dermatome::add

DERMATOME_CUDA_TABLE(add, {"add", DType::f32, add::run<float>}, {"add", DType::bf16, add::run<launch::Bfloat16>})

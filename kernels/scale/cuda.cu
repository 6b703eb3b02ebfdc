// scale on CUDA.
#include "kernels/launch/cuda.cuh"
#include "kernels/scale/math.h"

namespace dermatome::scale {
namespace {

template <typename T>
void run(const Call& call) {
  const float factor = static_cast<float>(launch::real(call, kFactor));
  launch::cuda::map(
      call, call.outputs[0].elements, launch::out<T>(call, 0),
      DERMATOME_LAMBDA(launch::cuda::Index, float x) { return forward(x, factor); }, launch::in<T>(call, 0));
}

}  // namespace
}  // namespace dermatome::scale

DERMATOME_CUDA_TABLE(scale, {"scale", DType::f32, scale::run<float>},
                     {"scale", DType::bf16, scale::run<launch::Bfloat16>})

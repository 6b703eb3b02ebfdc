// fill on CUDA.
#include "kernels/fill/math.h"
#include "kernels/launch/cuda.cuh"

namespace dermatome::fill {
namespace {

template <typename T>
void run(const Call& call) {
  T* y = launch::out<T>(call, 0);
  const T value = constant<T>(launch::real(call, kValue));
  launch::cuda::for_each(
      call, call.outputs[0].elements, DERMATOME_LAMBDA(launch::cuda::Index i) { y[i] = value; });
}

}  // namespace
}  // namespace dermatome::fill

DERMATOME_CUDA_TABLE(fill, {"fill", DType::f32, fill::run<float>}, {"fill", DType::bf16, fill::run<launch::Bfloat16>},
                     {"fill", DType::u8, fill::run<std::uint8_t>}, {"fill", DType::i32, fill::run<std::int32_t>})

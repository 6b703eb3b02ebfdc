// cast on CUDA: looked up by the output's type, the input's is told apart at run time.
#include "kernels/cast/math.h"
#include "kernels/launch/cuda.cuh"

namespace dermatome::cast {
namespace {

template <typename To, typename From>
void convert_all(const Call& call) {
  constexpr int kPack = 8;
  const From* x = launch::in<From>(call, 0);
  To* y = launch::out<To>(call, 0);
  const std::int64_t count = call.outputs[0].elements;
  launch::cuda::for_each(
      call, launch::cuda::blocks_for(count, kPack), DERMATOME_LAMBDA(launch::cuda::Index pack) {
        const launch::cuda::Index end = (pack + 1) * kPack < count ? (pack + 1) * kPack : count;
        for (launch::cuda::Index i = pack * kPack; i < end; ++i) y[i] = convert<To>(x[i]);
      });
}

template <typename To>
void run(const Call& call) {
  switch (call.inputs[0].type) {
    case DType::f32: return convert_all<To, float>(call);
    case DType::bf16: return convert_all<To, Bfloat16>(call);
    case DType::u8: return convert_all<To, std::uint8_t>(call);
    case DType::i32: return convert_all<To, std::int32_t>(call);
    case DType::f64: return;  // declined when the kernel was chosen
  }
}

}  // namespace
}  // namespace dermatome::cast

DERMATOME_CUDA_TABLE(cast, {"cast", DType::f32, cast::run<float>, nullptr, nullptr, true},
                     {"cast", DType::bf16, cast::run<cast::Bfloat16>, nullptr, nullptr, true})

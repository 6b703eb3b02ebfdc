// slice and slice_gradient on CUDA.
#include "kernels/launch/cuda_rows.cuh"
#include "kernels/slice/math.h"

namespace dermatome::slice {
namespace {

using launch::cuda::Index;

void run_forward(const Call& call) {
  const Operand& x = call.inputs[0];
  const Operand& y = call.outputs[0];
  const Index size = static_cast<Index>(size_of(x.type));
  const Index kept = launch::integer(call, kChannels);
  launch::cuda::copy_rows(call,
                          {.from = static_cast<const unsigned char*>(x.data) + launch::integer(call, kBegin) * size,
                           .to = y.data,
                           .rows = y.elements / kept,
                           .bytes = kept * size,
                           .from_step = x.extent[x.rank - 1] * size,
                           .to_step = kept * size});
}

template <typename T>
void run_backward(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  T* dx = launch::out<T>(call, 0);
  const Index begin = launch::integer(call, kBegin);
  const Index kept = call.inputs[0].extent[call.inputs[0].rank - 1];
  const Index channels = launch::integer(call, kChannels);
  launch::cuda::for_each_cell(
      call, call.outputs[0].elements / channels, channels, DERMATOME_LAMBDA(Index pixel, Index c) {
        const bool inside = c >= begin && c < begin + kept;
        dx[pixel * channels + c] = inside ? dy[pixel * kept + c - begin] : T{};
      });
}

}  // namespace
}  // namespace dermatome::slice

DERMATOME_CUDA_TABLE(slice, {"slice", DType::f32, slice::run_forward}, {"slice", DType::bf16, slice::run_forward},
                     {"slice_gradient", DType::f32, slice::run_backward<float>},
                     {"slice_gradient", DType::bf16, slice::run_backward<launch::Bfloat16>})

// channel_sum on CUDA. Partial sums are doubles: a gradient's positive and negative parts nearly cancel.
#include "kernels/launch/cuda.cuh"

namespace dermatome::channel_sum {
namespace {

using launch::cuda::Index;

Index channels_of(const Call& call) {
  return call.outputs[0].elements;
}
Index rows_of(const Call& call) {
  return channels_of(call) == 0 ? 0 : call.inputs[0].elements / channels_of(call);
}

std::int64_t workspace(const Call& call) {
  return launch::cuda::reduce_channels_workspace<double, 1>(rows_of(call), channels_of(call));
}

template <typename T, int N>
void sum(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  float* sums = launch::out<float>(call, 0);
  const Index channels = channels_of(call);
  launch::cuda::reduce_channels<double, 1, N>(
      call, rows_of(call), channels, static_cast<double*>(call.workspace), DERMATOME_LAMBDA(Index) { return 0; },
      DERMATOME_LAMBDA(Index row, Index c, int, launch::cuda::ChannelSums<double, 1, N>& terms) {
        const auto pack = launch::cuda::load_pack<T, N>(x + row * channels + c);
        for (int k = 0; k < N; ++k) terms.term[0][k] = static_cast<double>(launch::load(pack.value[k]));
      },
      DERMATOME_LAMBDA(Index c, const double* totals) { sums[c] = static_cast<float>(totals[0]); });
}

template <typename T>
void run(const Call& call) {
  if (channels_of(call) % 4 == 0) {
    sum<T, 4>(call);
  } else {
    sum<T, 1>(call);
  }
}

}  // namespace
}  // namespace dermatome::channel_sum

DERMATOME_CUDA_TABLE(channel_sum, {"channel_sum", DType::f32, channel_sum::run<float>, channel_sum::workspace},
                     {"channel_sum", DType::bf16, channel_sum::run<launch::Bfloat16>, channel_sum::workspace, nullptr,
                      true})

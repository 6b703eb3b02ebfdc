// global_average_pool and its gradient on CUDA. The pixels of a channel are one thread's work: nets pool what is small.
#include "kernels/global_average_pool/math.h"
#include "kernels/launch/cuda.cuh"

namespace dermatome::global_average_pool {
namespace {

using launch::cuda::Index;

template <typename T>
void run_forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  const Index channels = call.inputs[0].extent[3];
  const Index pixels = call.inputs[0].extent[1] * call.inputs[0].extent[2];
  launch::cuda::for_each_cell(
      call, call.inputs[0].extent[0], channels, DERMATOME_LAMBDA(Index n, Index c) {
        double sum = 0;
        for (Index p = 0; p < pixels; ++p) {
          sum += static_cast<double>(launch::load(x[(n * pixels + p) * channels + c]));
        }
        y[n * channels + c] = launch::store<T>(mean<float>(sum, pixels));
      });
}

template <typename T>
void run_backward(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  T* dx = launch::out<T>(call, 0);
  const Index channels = call.outputs[0].extent[3];
  const Index pixels = call.outputs[0].extent[1] * call.outputs[0].extent[2];
  launch::cuda::for_each_cell(
      call, call.outputs[0].extent[0] * pixels, channels, DERMATOME_LAMBDA(Index row, Index c) {
        dx[row * channels + c] = launch::store<T>(share(launch::load(dy[row / pixels * channels + c]), pixels));
      });
}

}  // namespace
}  // namespace dermatome::global_average_pool

DERMATOME_CUDA_TABLE(global_average_pool, {"global_average_pool", DType::f32, global_average_pool::run_forward<float>},
                     {"global_average_pool", DType::bf16, global_average_pool::run_forward<launch::Bfloat16>},
                     {"global_average_pool_gradient", DType::f32, global_average_pool::run_backward<float>},
                     {"global_average_pool_gradient", DType::bf16, global_average_pool::run_backward<launch::Bfloat16>})

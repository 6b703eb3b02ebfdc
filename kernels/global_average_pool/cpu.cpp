// global_average_pool and its gradient on the CPU. A block of channels of one image is a unit of work.
#include "kernels/launch/cpu.h"
#include "kernels/global_average_pool/math.h"
#include "kernels/launch/table.h"

namespace dermatome::global_average_pool {
namespace {

using launch::Index;

constexpr Index kBlock = 64;

template <typename T>
void run_forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  const Index channels = call.inputs[0].extent[3];
  const Index pixels = call.inputs[0].extent[1] * call.inputs[0].extent[2];
  const Index blocks = (channels + kBlock - 1) / kBlock;
  launch::for_each_row(call.inputs[0].extent[0] * blocks, pixels * kBlock, [=](Index row) {
    const Index n = row / blocks;
    const Index begin = row % blocks * kBlock;
    const Index count = channels - begin < kBlock ? channels - begin : kBlock;
    double sums[kBlock] = {};
    const T* from = x + n * pixels * channels + begin;
    for (Index p = 0; p < pixels; ++p, from += channels) {
#pragma omp simd
      for (Index c = 0; c < count; ++c) sums[c] += static_cast<double>(launch::load(from[c]));
    }
    for (Index c = 0; c < count; ++c) y[n * channels + begin + c] = launch::store<T>(mean<float>(sums[c], pixels));
  });
}

template <typename T>
void run_backward(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  T* dx = launch::out<T>(call, 0);
  const Index channels = call.outputs[0].extent[3];
  const Index pixels = call.outputs[0].extent[1] * call.outputs[0].extent[2];
  launch::for_each_row(call.outputs[0].extent[0] * pixels, channels, [=](Index row) {
    const T* from = dy + row / pixels * channels;
    T* to = dx + row * channels;
#pragma omp simd
    for (Index c = 0; c < channels; ++c) to[c] = launch::store<T>(share(launch::load(from[c]), pixels));
  });
}

}  // namespace
}  // namespace dermatome::global_average_pool

DERMATOME_CPU_TABLE(global_average_pool, {"global_average_pool", DType::f32, global_average_pool::run_forward<float>},
                    {"global_average_pool", DType::bf16, global_average_pool::run_forward<launch::Bfloat16>},
                    {"global_average_pool_gradient", DType::f32, global_average_pool::run_backward<float>},
                    {"global_average_pool_gradient", DType::bf16, global_average_pool::run_backward<launch::Bfloat16>})

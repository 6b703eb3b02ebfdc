// upsample_bilinear on CUDA: one thread an element.
#include "kernels/launch/cuda.cuh"
#include "kernels/upsample_bilinear/math.h"

namespace dermatome::upsample_bilinear {
namespace {

using launch::load;
using launch::cuda::Index;

template <typename T>
void run(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  const Index height = call.inputs[0].extent[1], width = call.inputs[0].extent[2], channels = call.inputs[0].extent[3];
  const Index out_height = launch::integer(call, kHeight), out_width = launch::integer(call, kWidth);
  launch::cuda::for_each_cell(
      call, call.outputs[0].extent[0] * out_height * out_width, channels, DERMATOME_LAMBDA(Index pixel, Index c) {
        const Index row = pixel / out_width;
        const Tap vertical = tap_of(row % out_height, out_height, height);
        const Tap horizontal = tap_of(pixel % out_width, out_width, width);
        const T* image = x + row / out_height * height * width * channels + c;
        const T* top = image + vertical.low * width * channels;
        const T* bottom = image + vertical.high * width * channels;
        const Index left = horizontal.low * channels, right = horizontal.high * channels;
        const auto across = static_cast<float>(horizontal.share);
        const float upper = mix(load(top[left]), load(top[right]), across);
        const float lower = mix(load(bottom[left]), load(bottom[right]), across);
        y[pixel * channels + c] = launch::store<T>(mix(upper, lower, static_cast<float>(vertical.share)));
      });
}

}  // namespace
}  // namespace dermatome::upsample_bilinear

DERMATOME_CUDA_TABLE(upsample_bilinear, {"upsample_bilinear", DType::f32, upsample_bilinear::run<float>},
                     {"upsample_bilinear", DType::bf16, upsample_bilinear::run<launch::Bfloat16>})

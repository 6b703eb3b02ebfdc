// upsample_bilinear on the CPU. A row of the result is a unit of work.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"
#include "kernels/upsample_bilinear/math.h"

namespace dermatome::upsample_bilinear {
namespace {

using launch::Index;
using launch::load;

template <typename T>
void run(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  const Index height = call.inputs[0].extent[1], width = call.inputs[0].extent[2], channels = call.inputs[0].extent[3];
  const Index out_height = launch::integer(call, kHeight), out_width = launch::integer(call, kWidth);
  launch::for_each_row(call.outputs[0].extent[0] * out_height, out_width * channels, [=](Index row) {
    const Tap vertical = tap_of(row % out_height, out_height, height);
    const T* image = x + row / out_height * height * width * channels;
    const T* top = image + vertical.low * width * channels;
    const T* bottom = image + vertical.high * width * channels;
    const auto down = static_cast<float>(vertical.share);
    for (Index ow = 0; ow < out_width; ++ow) {
      const Tap horizontal = tap_of(ow, out_width, width);
      const Index left = horizontal.low * channels, right = horizontal.high * channels;
      const auto across = static_cast<float>(horizontal.share);
      T* to = y + (row * out_width + ow) * channels;
#pragma omp simd
      for (Index c = 0; c < channels; ++c) {
        const float upper = mix(load(top[left + c]), load(top[right + c]), across);
        const float lower = mix(load(bottom[left + c]), load(bottom[right + c]), across);
        to[c] = launch::store<T>(mix(upper, lower, down));
      }
    }
  });
}

}  // namespace
}  // namespace dermatome::upsample_bilinear

DERMATOME_CPU_TABLE(upsample_bilinear, {"upsample_bilinear", DType::f32, upsample_bilinear::run<float>},
                    {"upsample_bilinear", DType::bf16, upsample_bilinear::run<launch::Bfloat16>})

// upsample_bilinear on the CPU. A row of the result is a unit of work.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"
#include "kernels/upsample_bilinear/math.h"

namespace dermatome::upsample_bilinear {
namespace {

using launch::Index;

void run(const Call& call) {
  const float* x = launch::in<float>(call, 0);
  float* y = launch::out<float>(call, 0);
  const Index height = call.inputs[0].extent[1], width = call.inputs[0].extent[2], channels = call.inputs[0].extent[3];
  const Index out_height = launch::integer(call, kHeight), out_width = launch::integer(call, kWidth);
  launch::for_each_row(call.outputs[0].extent[0] * out_height, out_width * channels, [=](Index row) {
    const Tap vertical = tap_of(row % out_height, out_height, height);
    const float* image = x + row / out_height * height * width * channels;
    const float* top = image + vertical.low * width * channels;
    const float* bottom = image + vertical.high * width * channels;
    const auto down = static_cast<float>(vertical.share);
    for (Index ow = 0; ow < out_width; ++ow) {
      const Tap horizontal = tap_of(ow, out_width, width);
      const Index left = horizontal.low * channels, right = horizontal.high * channels;
      const auto across = static_cast<float>(horizontal.share);
      float* to = y + (row * out_width + ow) * channels;
#pragma omp simd
      for (Index c = 0; c < channels; ++c) {
        to[c] = mix(mix(top[left + c], top[right + c], across), mix(bottom[left + c], bottom[right + c], across), down);
      }
    }
  });
}

}  // namespace
}  // namespace dermatome::upsample_bilinear

DERMATOME_CPU_TABLE(upsample_bilinear, {"upsample_bilinear", DType::f32, upsample_bilinear::run})

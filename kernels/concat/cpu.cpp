// concat on the CPU: moves memory, so there is no arithmetic to share.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"

namespace dermatome::concat {
namespace {

void run(const Call& call) {
  float* y = launch::out<float>(call, 0);
  const int last = call.outputs[0].rank - 1;
  const std::int64_t channels = call.outputs[0].extent[last];
  const std::int64_t pixels = channels == 0 ? 0 : call.outputs[0].elements / channels;
  launch::for_each_row(pixels, channels, [=](std::int64_t pixel) {
    float* to = y + pixel * channels;
    for (int k = 0; k < call.input_count; ++k) {
      const std::int64_t width = call.inputs[k].extent[last];
      const float* from = launch::in<float>(call, k) + pixel * width;
      for (std::int64_t c = 0; c < width; ++c) to[c] = from[c];
      to += width;
    }
  });
}

}  // namespace
}  // namespace dermatome::concat

DERMATOME_CPU_TABLE(concat, {"concat", DType::f32, concat::run})

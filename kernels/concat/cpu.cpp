// concat on the CPU: moves memory, so there is no arithmetic to share.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"

namespace dermatome::concat {
namespace {

template <typename T>
void run(const Call& call) {
  T* y = launch::out<T>(call, 0);
  const int last = call.outputs[0].rank - 1;
  const std::int64_t channels = call.outputs[0].extent[last];
  const std::int64_t pixels = channels == 0 ? 0 : call.outputs[0].elements / channels;
  launch::for_each_row(pixels, channels, [=](std::int64_t pixel) {
    T* to = y + pixel * channels;
    for (int k = 0; k < call.input_count; ++k) {
      const std::int64_t width = call.inputs[k].extent[last];
      const T* from = launch::in<T>(call, k) + pixel * width;
      for (std::int64_t c = 0; c < width; ++c) to[c] = from[c];
      to += width;
    }
  });
}

}  // namespace
}  // namespace dermatome::concat

DERMATOME_CPU_TABLE(concat, {"concat", DType::f32, concat::run<float>},
                    {"concat", DType::bf16, concat::run<launch::Bfloat16>})

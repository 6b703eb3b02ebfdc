// slice and slice_gradient on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"
#include "kernels/slice/math.h"

namespace dermatome::slice {
namespace {

using launch::Index;

void run_forward(const Call& call) {
  const float* x = launch::in<float>(call, 0) + launch::integer(call, kBegin);
  float* y = launch::out<float>(call, 0);
  const Index channels = call.inputs[0].extent[call.inputs[0].rank - 1];
  const Index kept = launch::integer(call, kChannels);
  launch::for_each_row(call.outputs[0].elements / kept, kept, [=](Index pixel) {
    const float* from = x + pixel * channels;
    float* to = y + pixel * kept;
    for (Index c = 0; c < kept; ++c) to[c] = from[c];
  });
}

void run_backward(const Call& call) {
  const float* dy = launch::in<float>(call, 0);
  float* dx = launch::out<float>(call, 0);
  const Index begin = launch::integer(call, kBegin);
  const Index kept = call.inputs[0].extent[call.inputs[0].rank - 1];
  const Index channels = launch::integer(call, kChannels);
  launch::for_each_row(call.outputs[0].elements / channels, channels, [=](Index pixel) {
    const float* from = dy + pixel * kept;
    float* to = dx + pixel * channels;
    for (Index c = 0; c < begin; ++c) to[c] = 0;
    for (Index c = 0; c < kept; ++c) to[begin + c] = from[c];
    for (Index c = begin + kept; c < channels; ++c) to[c] = 0;
  });
}

}  // namespace
}  // namespace dermatome::slice

DERMATOME_CPU_TABLE(slice, {"slice", DType::f32, slice::run_forward},
                    {"slice_gradient", DType::f32, slice::run_backward})

// slice and slice_gradient on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"
#include "kernels/slice/math.h"

namespace dermatome::slice {
namespace {

using launch::Index;

template <typename T>
void run_forward(const Call& call) {
  const T* x = launch::in<T>(call, 0) + launch::integer(call, kBegin);
  T* y = launch::out<T>(call, 0);
  const Index channels = call.inputs[0].extent[call.inputs[0].rank - 1];
  const Index kept = launch::integer(call, kChannels);
  launch::for_each_row(call.outputs[0].elements / kept, kept, [=](Index pixel) {
    const T* from = x + pixel * channels;
    T* to = y + pixel * kept;
    for (Index c = 0; c < kept; ++c) to[c] = from[c];
  });
}

template <typename T>
void run_backward(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  T* dx = launch::out<T>(call, 0);
  const Index begin = launch::integer(call, kBegin);
  const Index kept = call.inputs[0].extent[call.inputs[0].rank - 1];
  const Index channels = launch::integer(call, kChannels);
  launch::for_each_row(call.outputs[0].elements / channels, channels, [=](Index pixel) {
    const T* from = dy + pixel * kept;
    T* to = dx + pixel * channels;
    for (Index c = 0; c < begin; ++c) to[c] = T{};
    for (Index c = 0; c < kept; ++c) to[begin + c] = from[c];
    for (Index c = begin + kept; c < channels; ++c) to[c] = T{};
  });
}

}  // namespace
}  // namespace dermatome::slice

DERMATOME_CPU_TABLE(slice, {"slice", DType::f32, slice::run_forward<float>},
                    {"slice", DType::bf16, slice::run_forward<launch::Bfloat16>},
                    {"slice_gradient", DType::f32, slice::run_backward<float>},
                    {"slice_gradient", DType::bf16, slice::run_backward<launch::Bfloat16>})

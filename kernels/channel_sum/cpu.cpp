// channel_sum on the CPU. Partial sums are doubles: a gradient's positive and negative parts nearly cancel.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"

namespace dermatome::channel_sum {
namespace {

using launch::Index;

Index channels_of(const Call& call) {
  return call.outputs[0].elements;
}
Index rows_of(const Call& call) {
  return channels_of(call) == 0 ? 0 : call.inputs[0].elements / channels_of(call);
}

std::int64_t workspace(const Call& call) {
  return launch::reduce_channels_workspace<double, 1>(rows_of(call), channels_of(call));
}

template <typename T>
void run(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  float* sums = launch::out<float>(call, 0);
  const Index channels = channels_of(call);
  launch::reduce_channels<double, 1>(
      rows_of(call), channels, static_cast<double*>(call.workspace),
      [=](Index row, Index c, double* terms) { terms[0] = static_cast<double>(launch::load(x[row * channels + c])); },
      [=](Index c, const double* totals) { sums[c] = static_cast<float>(totals[0]); });
}

}  // namespace
}  // namespace dermatome::channel_sum

DERMATOME_CPU_TABLE(channel_sum, {"channel_sum", DType::f32, channel_sum::run<float>, channel_sum::workspace},
                    {"channel_sum", DType::bf16, channel_sum::run<launch::Bfloat16>, channel_sum::workspace, nullptr,
                     true})

// clip_scale on the CPU: one read of every tensor, in chunks whose sums are added in order.
#include <math.h>

#include "kernels/clip_scale/math.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"

namespace dermatome::clip_scale {
namespace {

using launch::Index;

constexpr Index kChunk = 16384;
constexpr int kLanes = 16;        // side by side, so that the additions need not wait for each other
constexpr Index kLaneRun = 1024;  // elements before the lanes are emptied into a double

Index chunks_of(Index elements) {
  return (elements + kChunk - 1) / kChunk;
}

std::int64_t workspace(const Call& call) {
  Index chunks = 0;
  for (int p = 0; p < call.input_count; ++p) chunks += chunks_of(call.inputs[p].elements);
  return chunks * static_cast<std::int64_t>(sizeof(double));
}

double sum_of_squares(const float* x, Index count) {
  double sum = 0;
  for (Index first = 0; first < count; first += kLaneRun) {
    const Index end = first + kLaneRun < count ? first + kLaneRun : count;
    float lanes[kLanes] = {};
    Index i = first;
    for (; i + kLanes <= end; i += kLanes) {
      for (int k = 0; k < kLanes; ++k) lanes[k] += x[i + k] * x[i + k];
    }
    for (int k = 0; i + k < end; ++k) lanes[k] += x[i + k] * x[i + k];
    for (int k = 0; k < kLanes; ++k) sum += static_cast<double>(lanes[k]);
  }
  return sum;
}

void run(const Call& call) {
  auto* partial = static_cast<double*>(call.workspace);
  Index done = 0;
  for (int p = 0; p < call.input_count; ++p) {
    const float* x = launch::in<float>(call, p);
    const Index elements = call.inputs[p].elements;
    double* of_tensor = partial + done;
    launch::for_each_row(chunks_of(elements), kChunk, [=](Index chunk) {
      const Index first = chunk * kChunk;
      of_tensor[chunk] = sum_of_squares(x + first, elements - first < kChunk ? elements - first : kChunk);
    });
    done += chunks_of(elements);
  }
  double sum = 0;
  for (Index chunk = 0; chunk < done; ++chunk) sum += partial[chunk];
  launch::out<float>(call, 0)[0] = static_cast<float>(scale_of(sqrt(sum), launch::real(call, kMaxNorm)));
}

}  // namespace
}  // namespace dermatome::clip_scale

DERMATOME_CPU_TABLE(clip_scale, {"clip_scale", DType::f32, clip_scale::run, clip_scale::workspace})

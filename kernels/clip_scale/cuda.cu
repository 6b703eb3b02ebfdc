// clip_scale on CUDA: every thread adds a strided part of a chunk, for all tensors in one launch; then the parts' sum.
#include <math.h>

#include "kernels/clip_scale/math.h"
#include "kernels/launch/cuda_segments.cuh"

namespace dermatome::clip_scale {
namespace {

using launch::cuda::Index;

constexpr Index kChunk = 8192;
constexpr Index kLanes = launch::cuda::kWarp;  // neighbouring threads read neighbouring elements

// One tensor; its `elements` are the parts of it, a lane of a chunk each.
struct Parts {
  const float* x;
  Index length;
  float* sums;
  Index elements;
};

Index parts_of(Index length) {
  return launch::cuda::blocks_for(length, kChunk) * kLanes;
}

Index all_parts(const Call& call) {
  Index parts = 0;
  for (int p = 0; p < call.input_count; ++p) parts += parts_of(call.inputs[p].elements);
  return parts;
}

// Behind the parts, whose number is a multiple of 32, lies what their sum needs.
std::int64_t workspace(const Call& call) {
  return all_parts(call) * static_cast<Index>(sizeof(float)) +
         launch::cuda::reduce_images_workspace<float, 1>(1, all_parts(call));
}

void add_parts(const Call& call, const launch::cuda::Segments<Parts>& tensors) {
  launch::cuda::for_each_segment(
      call, tensors, DERMATOME_LAMBDA(const Parts& tensor, Index part) {
        const Index first = part / kLanes * kChunk;
        const Index end = first + kChunk < tensor.length ? first + kChunk : tensor.length;
        float sum = 0;
        for (Index i = first + part % kLanes; i < end; i += kLanes) sum += tensor.x[i] * tensor.x[i];
        tensor.sums[part] = sum;
      });
}

void run(const Call& call) {
  auto* sums = static_cast<float*>(call.workspace);
  launch::cuda::Segments<Parts> tensors;
  Index done = 0;
  for (int p = 0; p < call.input_count; ++p) {
    const Index length = call.inputs[p].elements;
    tensors.add({launch::in<float>(call, p), length, sums + done, parts_of(length)});
    done += parts_of(length);
    if (tensors.count < launch::cuda::kMostSegments && p + 1 < call.input_count) continue;
    add_parts(call, tensors);
    tensors.count = 0;
  }
  float* scale = launch::out<float>(call, 0);
  const double max_norm = launch::real(call, kMaxNorm);
  launch::cuda::reduce_images<float, 1>(
      call, 1, done, sums + done, DERMATOME_LAMBDA(Index, Index part, float* terms) { terms[0] = sums[part]; },
      DERMATOME_LAMBDA(Index, const double* total) {
        scale[0] = static_cast<float>(scale_of(::sqrt(total[0]), max_norm));
      });
}

}  // namespace
}  // namespace dermatome::clip_scale

DERMATOME_CUDA_TABLE(clip_scale, {"clip_scale", DType::f32, clip_scale::run, clip_scale::workspace})

// moving_average on CUDA: all tensors in one launch.
#include "kernels/launch/cuda_segments.cuh"
#include "kernels/moving_average/math.h"

namespace dermatome::moving_average {
namespace {

using launch::cuda::Index;

struct Pair {
  const float *average, *value;
  float* moved;
  Index elements;
};

void move(const Call& call, const launch::cuda::Segments<Pair>& pairs) {
  const float* decay = launch::in<float>(call, kDecay);
  launch::cuda::for_each_segment(
      call, pairs, DERMATOME_LAMBDA(const Pair& pair, Index i) {
        if (pair.moved != nullptr) pair.moved[i] = moved(pair.average[i], pair.value[i], decay[0]);
      });
}

void run(const Call& call) {
  launch::cuda::Segments<Pair> pairs;
  for (int in = kFirstTensor, out = 0; in < call.input_count; in += kInputsEach, ++out) {
    pairs.add({launch::in<float>(call, in + kAverage), launch::in<float>(call, in + kValue),
               launch::out<float>(call, out), call.inputs[in].elements});
    if (pairs.count < launch::cuda::kMostSegments && in + kInputsEach < call.input_count) continue;
    move(call, pairs);
    pairs.count = 0;
  }
}

}  // namespace
}  // namespace dermatome::moving_average

DERMATOME_CUDA_TABLE(moving_average, {"moving_average", DType::f32, moving_average::run})

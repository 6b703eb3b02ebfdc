// What surrounds the matrix products of a decoder step on CUDA: statistics, folded weights, biases, and the gradients
// that follow from sums. They run where the call's stream says.
#pragma once

#include "kernels/decoder_step/math.h"
#include "kernels/vendor/cudnn.h"

namespace dermatome::decoder_step {

// The sizes as Calls and as requests give them.
Sizes sizes_of_forward(const Call& call);
Sizes sizes_of_gradient(const Call& call);

// --- forward ---

// Bytes of `partial` below.
std::int64_t normalise_workspace(const Sizes& sizes, std::int64_t mode);
// scale and shift [in] of the normalisation that the call asks for (not mode none); fills the statistics' outputs.
void normalise(const Call& call, DType type, const Sizes& sizes, float* scale, float* shift, void* partial);

// weight [in, out, kernel, kernel] to [in, taps, out] of `type`, times scale[in] where that is given.
void fold_weight(const Call& call, const float* weight, const Sizes& sizes, const float* scale, DType type, void* to);

// to [taps, out]: what a pixel under each tap adds: the bias, and where `shift` is given the weights times it.
std::int64_t tap_biases_workspace(const Sizes& sizes);
void tap_biases(const Call& call, const float* weight, const float* bias, const float* shift, const Sizes& sizes,
                void* partial, float* to);

// Adds them to the first `out` channels of y, in place, with ReLU or without.
void add_tap_biases(const Call& call, DType type, void* y, const Sizes& sizes, const float* biases, bool relu);

// --- gradients ---

// sums [taps, out] of dy's first `out` channels, and of all taps together dbias [out], which may be null.
std::int64_t tap_sums_workspace(const Sizes& sizes);
void tap_sums(const Call& call, DType type, const void* dy, const Sizes& sizes, void* partial, float* sums,
              float* dbias);

// [4][in] numbers that a gradient needs of each channel of x: gamma / deviation, 1 / deviation, and once
// weight_gradients ran, what dx has of x and on top.
struct Factors {
  float *scale, *inverse, *of_x, *constant;
};
void set_factors(const Call& call, const Sizes& sizes, const Factors& factors);

// dweight, dgamma, dbeta and the rest of the factors, from tap_sums and the sums of x * dy: [in, taps, raw.channels],
// of which the first `out` count.
struct RawGradient {
  DType type;
  const void* data;
  std::int64_t channels;
};
std::int64_t weight_gradients_workspace(const Sizes& sizes);
void weight_gradients(const Call& call, const RawGradient& raw, const Sizes& sizes, const float* sums,
                      const Factors& factors, void* partial);

// --- products of our own ---

// A convolution whose windows do not overlap (kernel = stride, no padding), or one of its gradients, one thread a
// result: without its epilogue.
void multiply_windows(const Call& call, const cudnn::Convolution& convolution, const cudnn::Operands& operands);

}  // namespace dermatome::decoder_step

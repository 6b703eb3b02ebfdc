// decoder_step: what its kernels read out of a Call.
#pragma once

#include "engine/compile/call.h"
#include "kernels/launch/host_device.h"

namespace dermatome::decoder_step {
inline namespace DERMATOME_ISA {

// Inputs of decoder_step, its attributes in the order of the signature, and the choices of `mode`.
enum { kX, kWeight, kBias, kSkip, kSkipWeight, kSkipBias, kGamma, kBeta, kRunningMean, kRunningVar };
enum { kKernel, kEpsilon, kMomentum, kMode, kOutputType };
enum { kModeNone, kModeTrain, kModeFrozen, kModeEval };

// Of decoder_step_gradient; kLast is the inverse deviation (mode train) or the running variance (frozen, eval).
enum { kGradientDy, kGradientX, kGradientWeight, kGradientGamma, kGradientBeta, kGradientMean, kGradientLast };
enum { kGradientKernel, kGradientEpsilon, kGradientMode, kGradientMasked };

// x [n, height, width, in] doubles (or more) to [n, height * kernel, width * kernel, out], the first `out` of the
// `channels` of y.
struct Sizes {
  std::int64_t n, height, width, in, kernel, out, channels;

  DERMATOME_HD std::int64_t taps() const { return kernel * kernel; }
  DERMATOME_HD std::int64_t pixels() const { return n * height * width; }  // of x
  // The pixel of y under tap (ky, kx) of a pixel of x.
  DERMATOME_HD std::int64_t under(std::int64_t pixel, std::int64_t ky, std::int64_t kx) const {
    const std::int64_t row = pixel / width;  // over all images: y has `kernel` rows for each
    return (row * kernel + ky) * (width * kernel) + pixel % width * kernel + kx;
  }
};

DERMATOME_HD Sizes sizes(const Operand& x, const Operand& weight, const Operand& y) {
  return {x.extent[0], x.extent[1], x.extent[2], x.extent[3], weight.extent[2], weight.extent[1], y.extent[3]};
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::decoder_step

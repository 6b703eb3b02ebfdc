// What decoder_step and its gradients on the CPU share: they are matrix products over pixels (conv2d/product.h).
#pragma once

#include "kernels/conv2d/product.h"
#include "kernels/decoder_step/math.h"

namespace dermatome::decoder_step {
inline namespace DERMATOME_ISA {

using conv2d::ceil_divide;
using conv2d::Geometry;
using conv2d::kBlockDepth;
using conv2d::kSumPixels;
using conv2d::least;
using conv2d::most;
using launch::Index;
using launch::kLanes;
using launch::kPanel;
using launch::Vec;

// The convolution whose data gradient the step is: from y to x.
inline Geometry convolution_of(const Sizes& s) {
  return {s.n, s.height * s.kernel, s.width * s.kernel, s.out, s.height, s.width, s.in, s.kernel, s.kernel, 0};
}

// A few output channels are sums over lanes.
inline bool is_narrow(const Sizes& s) {
  return s.taps() * s.out <= conv2d::kNarrow;
}

// Vectors run along the channels.
inline bool fits(const Sizes& s) {
  return s.in % 16 == 0 && (s.out % 16 == 0 || (is_narrow(s) && s.channels == s.out));
}

// `count` rows of `depth` floats, a_row apart, times one panel of b whose rows are `width` long.
DERMATOME_HD void multiply_deep(const float* a, Index a_row, const float* panel, Index width, float* c, Index c_row,
                                Index depth, Index count) {
  for (Index k = 0; k < depth; k += kBlockDepth) {
    launch::multiply_panel({.a = a + k,
                            .a_row = a_row,
                            .a_step = 1,
                            .b = panel + k * width,
                            .b_row = width,
                            .c = c,
                            .c_row = c_row,
                            .depth = least(kBlockDepth, depth - k),
                            .accumulate = k > 0},
                           count, width);
  }
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::decoder_step

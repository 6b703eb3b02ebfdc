// conv_transpose2d for any shape, in gather form: every output pixel collects the input pixels that are stamped onto
// it.
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"

namespace dermatome::conv_transpose2d {
namespace {

using launch::Index;
using launch::load;
using launch::store;

enum { kChannels, kKernel, kStride, kPad };

// weight IOHW -> [ky][kx][i][o]: rows of output channels.
void to_khwio(Index in, Index out, Index kernel, const float* weight, float* packed) {
  const Index taps = kernel * kernel;
  launch::for_each_row(taps * in, out, [=](Index row) {
    const Index tap = row / in;
    const Index i = row % in;
    for (Index o = 0; o < out; ++o) packed[row * out + o] = weight[(i * out + o) * taps + tap];
  });
}

template <typename T>
DERMATOME_HD float dot(const T* a, const float* b, Index count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Index i = 0; i < count; ++i) sum += load(a[i]) * b[i];
  return sum;
}

// Channels of one pixel that are summed at once, in f32 whatever the tensors' type.
constexpr Index kBlock = 128;

template <typename T, typename Y>
void forward_to(const Call& call) {
  const Operand x = call.inputs[0];
  const Operand y = call.outputs[0];
  const Index kernel = launch::integer(call, kKernel);
  const Index stride = launch::integer(call, kStride);
  const Index pad = launch::integer(call, kPad);
  const Index in = x.extent[3];
  const Index out = y.extent[3];
  const T* from = launch::in<T>(call, 0);
  const float* bias = call.input_count > 2 ? launch::in<float>(call, 2) : nullptr;
  Y* to = launch::out<Y>(call, 0);
  auto* packed = static_cast<float*>(call.workspace);
  to_khwio(in, out, kernel, launch::in<float>(call, 1), packed);
  // The pixel (n, oy, ox) of y, channels [begin, begin + count).
  const auto sum_pixel = [=](Index n, Index oy, Index ox, Index begin, Index count, float* sums) {
    for (Index o = 0; o < count; ++o) sums[o] = bias != nullptr ? bias[begin + o] : 0.0f;
    for (Index ky = 0; ky < kernel; ++ky) {
      const Index sy = oy + pad - ky;
      if (sy < 0 || sy % stride != 0 || sy / stride >= x.extent[1]) continue;
      for (Index kx = 0; kx < kernel; ++kx) {
        const Index sx = ox + pad - kx;
        if (sx < 0 || sx % stride != 0 || sx / stride >= x.extent[2]) continue;
        const T* source = from + ((n * x.extent[1] + sy / stride) * x.extent[2] + sx / stride) * in;
        const float* rows = packed + (ky * kernel + kx) * in * out + begin;
        if (out == 1) {
          sums[0] += dot(source, rows, in);
          continue;
        }
        for (Index i = 0; i < in; ++i) {
          const float factor = load(source[i]);
#pragma omp simd
          for (Index o = 0; o < count; ++o) sums[o] += factor * rows[i * out + o];
        }
      }
    }
  };
  launch::for_each_row(x.extent[0] * y.extent[1], y.extent[2] * in * out, [=](Index row) {
    for (Index ox = 0; ox < y.extent[2]; ++ox) {
      for (Index begin = 0; begin < out; begin += kBlock) {
        const Index count = out - begin < kBlock ? out - begin : kBlock;
        float sums[kBlock];
        sum_pixel(row / y.extent[1], row % y.extent[1], ox, begin, count, sums);
        Y* pixel = to + (row * y.extent[2] + ox) * out + begin;
        for (Index o = 0; o < count; ++o) pixel[o] = store<Y>(sums[o]);
      }
    }
  });
}

template <typename T>
void forward(const Call& call) {
  if (call.outputs[0].type == DType::f32) return forward_to<T, float>(call);
  forward_to<T, T>(call);
}

Index workspace(const Call& call) {
  return call.inputs[1].elements * 4;
}

}  // namespace
}  // namespace dermatome::conv_transpose2d

DERMATOME_CPU_TABLE(conv_transpose2d,
                    {"conv_transpose2d", DType::f32, conv_transpose2d::forward<float>, conv_transpose2d::workspace},
                    {"conv_transpose2d", DType::bf16, conv_transpose2d::forward<launch::Bfloat16>,
                     conv_transpose2d::workspace, nullptr, true})

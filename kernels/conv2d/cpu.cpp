// conv2d and its gradients for any shape: an implicit im2col and a matrix product, vectorised over channels. Serves
// what oneDNN offers only as its reference (odd channel counts, narrow heads) and builds without oneDNN.
#include "kernels/launch/cpu.h"
#include "kernels/conv2d/epilogue.h"
#include "kernels/conv2d/geometry.h"
#include "kernels/launch/table.h"

namespace dermatome::conv2d {
namespace {

using launch::Index;
using launch::load;
using launch::store;

// weight OIHW -> [ky][kx][i][o]: rows of output channels.
void to_khwio(const Geometry& g, const float* weight, float* packed) {
  const Index taps = g.kernel * g.kernel;
  launch::for_each_row(taps * g.in, g.out, [=](Index row) {
    const Index tap = row / g.in;
    const Index i = row % g.in;
    for (Index o = 0; o < g.out; ++o) packed[row * g.out + o] = weight[(o * g.in + i) * taps + tap];
  });
}

// weight OIHW -> [ky][kx][o][i]: rows of input channels.
void to_khwoi(const Geometry& g, const float* weight, float* packed) {
  const Index taps = g.kernel * g.kernel;
  launch::for_each_row(taps * g.out, g.in, [=](Index row) {
    const Index tap = row / g.out;
    const Index o = row % g.out;
    for (Index i = 0; i < g.in; ++i) packed[row * g.in + i] = weight[(o * g.in + i) * taps + tap];
  });
}

// Channels of one pixel that are summed at once, in f32 whatever the tensors' type.
constexpr Index kBlock = 128;

// sums[0..count) += sum over k of x[k] * rows[k * stride + 0..count)
template <typename T>
DERMATOME_HD void multiply_add_rows(const T* x, Index terms, const float* rows, Index stride, Index count,
                                    float* sums) {
  for (Index k = 0; k < terms; ++k) {
    const float factor = load(x[k]);
    const float* row = rows + k * stride;
#pragma omp simd
    for (Index c = 0; c < count; ++c) sums[c] += factor * row[c];
  }
}

// f(first channel, how many) for the blocks of so many channels.
template <typename F>
DERMATOME_HD void for_each_block(Index channels, const F& f) {
  for (Index begin = 0; begin < channels; begin += kBlock)
    f(begin, channels - begin < kBlock ? channels - begin : kBlock);
}

template <typename T, typename Y, typename Finish>
void forward_to(const Call& call, const Finish& finish) {
  const Geometry g = forward_geometry(call);
  const T* x = launch::in<T>(call, 0);
  Y* y = launch::out<Y>(call, 0);
  auto* packed = static_cast<float*>(call.workspace);
  to_khwio(g, launch::in<float>(call, 1), packed);
  launch::for_each_row(g.n * g.out_height, g.out_width * g.out * g.in * g.kernel, [=](Index row) {
    const Index n = row / g.out_height;
    const Index oy = row % g.out_height;
    for (Index ox = 0; ox < g.out_width; ++ox) {
      for_each_block(g.out, [=](Index begin, Index count) {
        float sums[kBlock];
        for (Index o = 0; o < count; ++o) sums[o] = finish.bias != nullptr ? finish.bias[begin + o] : 0.0f;
        for (Index ky = 0; ky < g.kernel; ++ky) {
          const Index iy = oy * g.stride - g.pad + ky;
          if (iy < 0 || iy >= g.height) continue;
          for (Index kx = 0; kx < g.kernel; ++kx) {
            const Index ix = ox * g.stride - g.pad + kx;
            if (ix < 0 || ix >= g.width) continue;
            multiply_add_rows(x + ((n * g.height + iy) * g.width + ix) * g.in, g.in,
                              packed + (ky * g.kernel + kx) * g.in * g.out + begin, g.out, count, sums);
          }
        }
        const Index at = (row * g.out_width + ox) * g.out + begin;
        for (Index o = 0; o < count; ++o) y[at + o] = store<Y>(finish.behind_bias(sums[o], begin + o, at + o));
      });
    }
  });
}

template <typename T>
void forward(const Call& call) {
  const AddBias finish{call.input_count > 2 ? launch::in<float>(call, 2) : nullptr};
  if (call.outputs[0].type == DType::f32) return forward_to<T, float>(call, finish);
  forward_to<T, T>(call, finish);
}

template <typename T>
void fused(const Call& call) {
  forward_to<T, T>(call, epilogue_of<T>(call));
}

// In gather form: every dx pixel collects the outputs whose windows cover it, so rows are independent.
template <typename T>
void data_gradient(const Call& call) {
  const Geometry g = data_gradient_geometry(call);
  const T* dy = launch::in<T>(call, 0);
  T* dx = launch::out<T>(call, 0);
  auto* packed = static_cast<float*>(call.workspace);
  to_khwoi(g, launch::in<float>(call, 1), packed);
  launch::for_each_row(g.n * g.height, g.width * g.out * g.in * g.kernel, [=](Index row) {
    const Index n = row / g.height;
    const Index iy = row % g.height;
    for (Index ix = 0; ix < g.width; ++ix) {
      for_each_block(g.in, [=](Index begin, Index count) {
        float sums[kBlock];
        for (Index i = 0; i < count; ++i) sums[i] = 0;
        for (Index ky = 0; ky < g.kernel; ++ky) {
          const Index sy = iy + g.pad - ky;
          if (sy < 0 || sy % g.stride != 0 || sy / g.stride >= g.out_height) continue;
          for (Index kx = 0; kx < g.kernel; ++kx) {
            const Index sx = ix + g.pad - kx;
            if (sx < 0 || sx % g.stride != 0 || sx / g.stride >= g.out_width) continue;
            multiply_add_rows(dy + ((n * g.out_height + sy / g.stride) * g.out_width + sx / g.stride) * g.out, g.out,
                              packed + (ky * g.kernel + kx) * g.in * g.out + begin, g.in, count, sums);
          }
        }
        T* to = dx + (row * g.width + ix) * g.in + begin;
        for (Index i = 0; i < count; ++i) to[i] = store<T>(sums[i]);
      });
    }
  });
}

// Each (tap, input channel) owns a row of output channels; sums run over output rows in f32 and over images in f64.
template <typename T>
void weight_gradient(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const T* x = launch::in<T>(call, 0);
  const T* dy = launch::in<T>(call, 1);
  float* dweight = launch::out<float>(call, 0);
  float* dbias = launch::out<float>(call, 1);
  const Index taps = g.kernel * g.kernel;
  auto* totals = static_cast<double*>(call.workspace);
  auto* sums = reinterpret_cast<float*>(totals + (taps * g.in + 1) * g.out);
  const Index rows = dbias != nullptr ? taps * g.in + 1 : taps * g.in;
  launch::for_each_row(rows, g.n * g.out_height * g.out_width * g.out, [=](Index row) {
    const bool is_bias = row == taps * g.in;
    const Index ky = is_bias ? 0 : row / g.in / g.kernel;
    const Index kx = is_bias ? 0 : row / g.in % g.kernel;
    const Index i = is_bias ? 0 : row % g.in;
    double* total = totals + row * g.out;
    float* sum = sums + row * g.out;
    for (Index o = 0; o < g.out; ++o) total[o] = 0;
    for (Index line = 0; line < g.n * g.out_height; ++line) {
      const Index n = line / g.out_height;
      const Index iy = line % g.out_height * g.stride - g.pad + ky;
      if (!is_bias && (iy < 0 || iy >= g.height)) continue;
      for (Index o = 0; o < g.out; ++o) sum[o] = 0;
      for (Index ox = 0; ox < g.out_width; ++ox) {
        const Index ix = ox * g.stride - g.pad + kx;
        if (!is_bias && (ix < 0 || ix >= g.width)) continue;
        const float factor = is_bias ? 1.0f : load(x[((n * g.height + iy) * g.width + ix) * g.in + i]);
        const T* from = dy + (line * g.out_width + ox) * g.out;
#pragma omp simd
        for (Index o = 0; o < g.out; ++o) sum[o] += factor * load(from[o]);
      }
      for (Index o = 0; o < g.out; ++o) total[o] += static_cast<double>(sum[o]);
    }
    for (Index o = 0; o < g.out; ++o) {
      const auto value = static_cast<float>(total[o]);
      if (is_bias) {
        dbias[o] = value;
      } else if (dweight != nullptr) {
        dweight[(o * g.in + i) * taps + ky * g.kernel + kx] = value;
      }
    }
  });
}

Index packed_weight_bytes(const Call& call) {
  return call.inputs[1].elements * 4;
}

Index weight_gradient_workspace(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  return (g.kernel * g.kernel * g.in + 1) * g.out * 12;
}

}  // namespace
}  // namespace dermatome::conv2d

// Beside bf16 activations the weight and its gradient are f32.
DERMATOME_CPU_TABLE(
    conv2d, {"conv2d", DType::f32, conv2d::forward<float>, conv2d::packed_weight_bytes},
    {"conv2d", DType::bf16, conv2d::forward<launch::Bfloat16>, conv2d::packed_weight_bytes, nullptr, true},
    {"conv2d_fused", DType::f32, conv2d::fused<float>, conv2d::packed_weight_bytes},
    {"conv2d_fused", DType::bf16, conv2d::fused<launch::Bfloat16>, conv2d::packed_weight_bytes, nullptr, true},
    {"conv2d_data_gradient", DType::f32, conv2d::data_gradient<float>, conv2d::packed_weight_bytes},
    {"conv2d_data_gradient", DType::bf16, conv2d::data_gradient<launch::Bfloat16>, conv2d::packed_weight_bytes, nullptr,
     true},
    {"conv2d_weight_gradient", DType::f32, conv2d::weight_gradient<float>, conv2d::weight_gradient_workspace},
    {"conv2d_weight_gradient", DType::bf16, conv2d::weight_gradient<launch::Bfloat16>,
     conv2d::weight_gradient_workspace, nullptr, true})

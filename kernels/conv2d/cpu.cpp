// conv2d and its gradients for any shape: an implicit im2col and a matrix product, vectorised over channels. Serves
// what oneDNN offers only as its reference (odd channel counts, narrow heads) and builds without oneDNN.
#include "kernels/launch/cpu.h"
#include "kernels/conv2d/geometry.h"
#include "kernels/launch/table.h"

namespace dermatome::conv2d {
namespace {

using Index = std::int64_t;

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

// y[0..count) += sum over k of x[k] * rows[k][0..count)
DERMATOME_HD void multiply_add_rows(const float* x, Index terms, const float* rows, Index count, float* y) {
  for (Index k = 0; k < terms; ++k) {
    const float factor = x[k];
    const float* row = rows + k * count;
#pragma omp simd
    for (Index c = 0; c < count; ++c) y[c] += factor * row[c];
  }
}

void forward(const Call& call) {
  const Geometry g = forward_geometry(call);
  const float* x = launch::in<float>(call, 0);
  const float* bias = call.input_count > 2 ? launch::in<float>(call, 2) : nullptr;
  float* y = launch::out<float>(call, 0);
  auto* packed = static_cast<float*>(call.workspace);
  to_khwio(g, launch::in<float>(call, 1), packed);
  launch::for_each_row(g.n * g.out_height, g.out_width * g.out * g.in * g.kernel, [=](Index row) {
    const Index n = row / g.out_height;
    const Index oy = row % g.out_height;
    for (Index ox = 0; ox < g.out_width; ++ox) {
      float* out = y + (row * g.out_width + ox) * g.out;
      for (Index o = 0; o < g.out; ++o) out[o] = bias != nullptr ? bias[o] : 0.0f;
      for (Index ky = 0; ky < g.kernel; ++ky) {
        const Index iy = oy * g.stride - g.pad + ky;
        if (iy < 0 || iy >= g.height) continue;
        for (Index kx = 0; kx < g.kernel; ++kx) {
          const Index ix = ox * g.stride - g.pad + kx;
          if (ix < 0 || ix >= g.width) continue;
          multiply_add_rows(x + ((n * g.height + iy) * g.width + ix) * g.in, g.in,
                            packed + (ky * g.kernel + kx) * g.in * g.out, g.out, out);
        }
      }
    }
  });
}

// In gather form: every dx pixel collects the outputs whose windows cover it, so rows are independent.
void data_gradient(const Call& call) {
  const Geometry g = data_gradient_geometry(call);
  const float* dy = launch::in<float>(call, 0);
  float* dx = launch::out<float>(call, 0);
  auto* packed = static_cast<float*>(call.workspace);
  to_khwoi(g, launch::in<float>(call, 1), packed);
  launch::for_each_row(g.n * g.height, g.width * g.out * g.in * g.kernel, [=](Index row) {
    const Index n = row / g.height;
    const Index iy = row % g.height;
    for (Index ix = 0; ix < g.width; ++ix) {
      float* to = dx + (row * g.width + ix) * g.in;
      for (Index i = 0; i < g.in; ++i) to[i] = 0;
      for (Index ky = 0; ky < g.kernel; ++ky) {
        const Index sy = iy + g.pad - ky;
        if (sy < 0 || sy % g.stride != 0 || sy / g.stride >= g.out_height) continue;
        for (Index kx = 0; kx < g.kernel; ++kx) {
          const Index sx = ix + g.pad - kx;
          if (sx < 0 || sx % g.stride != 0 || sx / g.stride >= g.out_width) continue;
          multiply_add_rows(dy + ((n * g.out_height + sy / g.stride) * g.out_width + sx / g.stride) * g.out, g.out,
                            packed + (ky * g.kernel + kx) * g.in * g.out, g.in, to);
        }
      }
    }
  });
}

// Each (tap, input channel) owns a row of output channels; sums run over output rows in f32 and over images in f64.
void weight_gradient(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const float* x = launch::in<float>(call, 0);
  const float* dy = launch::in<float>(call, 1);
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
        const float factor = is_bias ? 1.0f : x[((n * g.height + iy) * g.width + ix) * g.in + i];
        const float* from = dy + (line * g.out_width + ox) * g.out;
#pragma omp simd
        for (Index o = 0; o < g.out; ++o) sum[o] += factor * from[o];
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

DERMATOME_CPU_TABLE(conv2d, {"conv2d", DType::f32, conv2d::forward, conv2d::packed_weight_bytes},
                    {"conv2d_data_gradient", DType::f32, conv2d::data_gradient, conv2d::packed_weight_bytes},
                    {"conv2d_weight_gradient", DType::f32, conv2d::weight_gradient, conv2d::weight_gradient_workspace})

// The gradients of decoder_step on the CPU. Those of gamma and beta follow from the weight gradient by the normalised
// x, and that of x is one pass behind the product, with the ReLU in front of the step.
#include <math.h>

#include "kernels/batch_norm/math.h"
#include "kernels/decoder_step/products.h"
#include "kernels/launch/table.h"

namespace dermatome::decoder_step {
namespace {

// Products summed over pixels: totals[row * columns + column] (+)= sum of a[p * a_stride + row] * b[p * b_stride +
// column] over `count` pixels. Shared by the team, in pieces of `piece` rows.
void add_outer_products(const float* a, Index a_stride, Index rows, const float* b, Index b_stride, Index columns,
                        Index count, bool accumulate, Index piece, float* totals) {
  const Index panels = ceil_divide(columns, kPanel);
#pragma omp for schedule(static)
  for (Index unit = 0; unit < ceil_divide(rows, piece) * panels; ++unit) {
    const Index row = unit / panels * piece;
    const Index column = unit % panels * kPanel;
    for (Index p = 0; p < count; p += kSumPixels) {
      launch::multiply_panel({.a = a + p * a_stride + row,
                              .a_row = 1,
                              .a_step = a_stride,
                              .b = b + p * b_stride + column,
                              .b_row = b_stride,
                              .c = totals + row * columns + column,
                              .c_row = columns,
                              .depth = least(kSumPixels, count - p),
                              .accumulate = accumulate || p > 0},
                             least(piece, rows - row), least(kPanel, columns - column));
    }
  }
}

// The windows of dy under `count` pixels from `first` on: rows[p][tap * out + o].
void gather_windows(const Sizes& s, const float* dy, Index first, Index count, float* rows) {
  for (Index p = 0; p < count; ++p) {
    for (Index tap = 0; tap < s.taps(); ++tap) {
      const float* from = dy + s.under(first + p, tap / s.kernel, tap % s.kernel) * s.channels;
      conv2d::copy_floats(rows + (p * s.taps() + tap) * s.out, from, s.out);
    }
  }
}

Sizes gradient_sizes(const Call& call) {
  return sizes(call.inputs[kGradientX], call.inputs[kGradientWeight], call.inputs[kGradientDy]);
}

struct GradientLayout {
  Index pixels, piece;                                   // gathered at a time; rows of a unit of work
  Index tap_sums, factors, windows, normalised, totals;  // floats
  Index block_pixels, local, panels, partial_sums;
};

GradientLayout gradient_layout(const Sizes& s) {
  const Geometry g = convolution_of(s);
  const auto products = conv2d::weight_gradient_layout(g);
  GradientLayout layout{};
  layout.pixels = products.pixels;
  layout.piece = products.piece;
  layout.tap_sums = s.taps() * s.out;
  layout.factors = 5 * s.in;
  layout.windows = layout.pixels * s.taps() * s.out;
  layout.normalised = layout.pixels * s.in;
  layout.totals = s.taps() * s.out * s.in;
  layout.block_pixels = conv2d::pixels_in_block(g);
  layout.local = layout.block_pixels * (s.taps() * s.out + kPanel);
  layout.panels = layout.totals;
  layout.partial_sums = launch::chunks_of(s.n * s.height) * layout.tap_sums;
  return layout;
}

Index gradient_workspace(const Call& call) {
  const GradientLayout l = gradient_layout(gradient_sizes(call));
  const Index dweight = call.outputs[1].data == nullptr ? l.totals : 0;
  return (dweight + l.tap_sums + l.factors + l.windows + l.normalised + l.totals + omp_get_max_threads() * l.local +
          l.panels + l.partial_sums) *
         4;
}

bool fits_gradient(const Call& call) {
  return fits(gradient_sizes(call));
}

// sums[o * taps + tap] of dy over all windows.
void sum_taps(const Sizes& s, const float* dy, float* partial, float* sums) {
  const Index columns = s.taps() * s.out;
  const Index rows = s.n * s.height;
  const Index chunks = launch::chunks_of(rows);
  launch::for_each_chunk(rows, s.width * columns, [=](Index chunk, Index begin, Index end) {
    float* to = partial + chunk * columns;
    for (Index c = 0; c < columns; ++c) to[c] = 0;
    for (Index pixel = begin * s.width; pixel < end * s.width; ++pixel) {
      for (Index tap = 0; tap < s.taps(); ++tap) {
        const float* from = dy + s.under(pixel, tap / s.kernel, tap % s.kernel) * s.channels;
        float* of_tap = to + tap * s.out;
#pragma omp simd
        for (Index o = 0; o < s.out; ++o) of_tap[o] += from[o];
      }
    }
  });
  for (Index c = 0; c < columns; ++c) {
    double sum = 0;
    for (Index chunk = 0; chunk < chunks; ++chunk) sum += static_cast<double>(partial[chunk * columns + c]);
    sums[c % s.out * s.taps() + c / s.out] = static_cast<float>(sum);
  }
}

// How x was normalised, and dx = dy_factor * (gradient of what was convolved) + x_factor * x + constant.
struct Factors {
  float *mean, *inverse, *dy_factor, *x_factor, *constant;
};

void read_statistics(const Call& call, const Sizes& s, const Factors& f) {
  const auto mode = launch::integer(call, kGradientMode);
  for (Index i = 0; i < s.in; ++i) {
    f.mean[i] = 0;
    f.inverse[i] = 1;
    if (mode == kModeNone) continue;
    const float last = launch::in<float>(call, kGradientLast)[i];
    f.mean[i] = launch::in<float>(call, kGradientMean)[i];
    f.inverse[i] =
        mode == kModeTrain
            ? last
            : static_cast<float>(1.0 / sqrt(static_cast<double>(last) + launch::real(call, kGradientEpsilon)));
  }
}

// From dweight by the normalised x to the weight's own gradient, gamma's, beta's, and the factors of dx.
void finish_channel(const Call& call, const Sizes& s, Index i, const float* tap_sums, const Factors& f,
                    float* dweight) {
  const auto mode = launch::integer(call, kGradientMode);
  f.dy_factor[i] = 1;
  f.x_factor[i] = 0;
  f.constant[i] = 0;
  if (mode == kModeNone) return;
  const Index columns = s.out * s.taps();
  const float* weight = launch::in<float>(call, kGradientWeight) + i * columns;
  float* gradient = dweight + i * columns;
  const float gamma = launch::in<float>(call, kGradientGamma)[i];
  const float beta = launch::in<float>(call, kGradientBeta)[i];
  double dgamma = 0;
  double dbeta = 0;
  for (Index c = 0; c < columns; ++c) {
    dgamma += static_cast<double>(weight[c]) * static_cast<double>(gradient[c]);
    dbeta += static_cast<double>(weight[c]) * static_cast<double>(tap_sums[c]);
    gradient[c] = gamma * gradient[c] + beta * tap_sums[c];
  }
  if (float* to = launch::out<float>(call, 3); to != nullptr) to[i] = static_cast<float>(dgamma);
  if (float* to = launch::out<float>(call, 4); to != nullptr) to[i] = static_cast<float>(dbeta);
  const auto inverse = static_cast<double>(f.inverse[i]);
  f.dy_factor[i] = static_cast<float>(static_cast<double>(gamma) * inverse);
  if (mode != kModeTrain) return;
  const auto g = batch_norm::input_gradient<double>(static_cast<double>(gamma), static_cast<double>(f.mean[i]), inverse,
                                                    dgamma, dbeta, static_cast<double>(s.pixels()));
  f.x_factor[i] = static_cast<float>(g.x_factor);
  f.constant[i] = static_cast<float>(g.constant);
}

// dweight by the normalised x, [in][out][taps].
void weight_gradient(const Sizes& s, const GradientLayout& layout, const float* dy, const float* x, const Factors& f,
                     float* windows, float* normalised, float* totals, float* dweight) {
  const Index columns = s.taps() * s.out;
  for (Index first = 0; first < s.pixels(); first += layout.pixels) {
    const Index count = least(layout.pixels, s.pixels() - first);
#pragma omp for schedule(static)
    for (Index p = 0; p < count; ++p) {
      gather_windows(s, dy, first + p, 1, windows + p * columns);
      const float* from = x + (first + p) * s.in;
      float* to = normalised + p * s.in;
#pragma omp simd
      for (Index i = 0; i < s.in; ++i) to[i] = (from[i] - f.mean[i]) * f.inverse[i];
    }
    add_outer_products(windows, columns, columns, normalised, s.in, s.in, count, first > 0, layout.piece, totals);
  }
  const Geometry g = convolution_of(s);
#pragma omp for schedule(static)
  for (Index part = 0; part < ceil_divide(columns, kLanes); ++part) {
    conv2d::unpack_weight_gradient(g, totals, part, dweight);
  }
}

template <bool kMasked>
DERMATOME_HD void finish_dx_row(const float* product, const float* x, const Factors& f, Index first, Index width,
                                float* dx) {
  for (Index c = 0; c < width; c += kLanes) {
    const Index i = first + c;
    const Vec value = launch::load(x + c);
    const Vec offset = launch::multiply_add(launch::load(f.x_factor + i), value, launch::load(f.constant + i));
    const Vec sum = launch::multiply_add(launch::load(f.dy_factor + i), launch::load(product + c), offset);
    launch::store(dx + c, kMasked ? (value > Vec{} ? sum : Vec{}) : sum);
  }
}

// dx may lie in x's place: each pixel is read before it is written.
template <bool kMasked>
void data_gradient(const Sizes& s, const GradientLayout& layout, const float* dy, const float* x, const float* panels,
                   const Factors& f, float* local, float* dx) {
  const Index depth = s.taps() * s.out;
  float* block = local + layout.block_pixels * depth;
#pragma omp for schedule(static)
  for (Index first = 0; first < s.pixels(); first += layout.block_pixels) {
    const Index count = least(layout.block_pixels, s.pixels() - first);
    gather_windows(s, dy, first, count, local);
    for (Index column = 0; column < s.in; column += kPanel) {
      const Index width = least(kPanel, s.in - column);
      multiply_deep(local, depth, panels + depth * column, width, block, width, depth, count);
      for (Index p = 0; p < count; ++p) {
        const Index at = (first + p) * s.in + column;
        finish_dx_row<kMasked>(block + p * width, x + at, f, column, width, dx + at);
      }
    }
  }
}

void gradient(const Call& call) {
  const Sizes s = gradient_sizes(call);
  const GradientLayout layout = gradient_layout(s);
  const float* dy = launch::in<float>(call, kGradientDy);
  const float* x = launch::in<float>(call, kGradientX);
  float* dx = launch::out<float>(call, 0);
  float* dweight = launch::out<float>(call, 1);
  auto* tap_sums = static_cast<float*>(call.workspace);
  float* factors = tap_sums + layout.tap_sums;
  const Factors f{factors, factors + s.in, factors + 2 * s.in, factors + 3 * s.in, factors + 4 * s.in};
  float* windows = factors + layout.factors;
  float* normalised = windows + layout.windows;
  float* totals = normalised + layout.normalised;
  float* panels = totals + layout.totals;
  float* partial = panels + layout.panels;
  float* locals = partial + layout.partial_sums;
  if (dweight == nullptr) dweight = locals + omp_get_max_threads() * layout.local;  // dx needs what it tells of x
  sum_taps(s, dy, partial, tap_sums);
  if (float* dbias = launch::out<float>(call, 2); dbias != nullptr) {
    for (Index o = 0; o < s.out; ++o) {
      double sum = 0;
      for (Index tap = 0; tap < s.taps(); ++tap) sum += static_cast<double>(tap_sums[o * s.taps() + tap]);
      dbias[o] = static_cast<float>(sum);
    }
  }
  read_statistics(call, s, f);
  const Geometry g = convolution_of(s);
  const Index parts = ceil_divide(conv2d::depth_of(g), kLanes);
  launch::in_team(true, [&] {
    const Sizes mine = s;
    weight_gradient(mine, layout, dy, x, f, windows, normalised, totals, dweight);
#pragma omp for schedule(static)
    for (Index i = 0; i < mine.in; ++i) finish_channel(call, mine, i, tap_sums, f, dweight);
    if (dx == nullptr) return;
#pragma omp for schedule(static)
    for (Index unit = 0; unit < ceil_divide(mine.in, kPanel) * parts; ++unit) {
      const Index column = unit / parts * kPanel;
      conv2d::pack_forward(g, launch::in<float>(call, kGradientWeight), column, least(kPanel, mine.in - column),
                           unit % parts, panels + conv2d::depth_of(g) * column);
    }
    float* local = locals + omp_get_thread_num() * layout.local;
    if (launch::integer(call, kGradientMasked) != 0) {
      data_gradient<true>(mine, layout, dy, x, panels, f, local, dx);
    } else {
      data_gradient<false>(mine, layout, dy, x, panels, f, local, dx);
    }
  });
}

// --- gradients of the skip connection ---

struct SkipSizes {
  Geometry g;
  Index channels;  // of dy
};

SkipSizes skip_sizes(const Call& call) {
  const Operand& skip = call.inputs[1];
  return {{skip.extent[0], skip.extent[1], skip.extent[2], skip.extent[3], skip.extent[1], skip.extent[2],
           call.inputs[2].extent[0], 1, 1, 0},
          call.inputs[0].extent[3]};
}

Index skip_workspace(const Call& call) {
  const auto [g, channels] = skip_sizes(call);
  const bool bias = call.outputs[2].data != nullptr;
  return 2 * g.in * g.out * 4 + (bias ? conv2d::bias_gradient_workspace(conv2d::pixels_of(g), g.out) : 0);
}

bool fits_skip(const Call& call) {
  const auto [g, channels] = skip_sizes(call);
  return g.in % 16 == 0 && g.out % 16 == 0;
}

void skip_gradient(const Call& call) {
  const auto [g, channels] = skip_sizes(call);
  const Index pixels = conv2d::pixels_of(g);
  const Index stride = channels;
  const float* dy = launch::in<float>(call, 0) + channels - g.out;
  const float* skip = launch::in<float>(call, 1);
  const float* weight = launch::in<float>(call, 2);
  float* dskip = launch::out<float>(call, 0);
  float* dweight = launch::out<float>(call, 1);
  auto* packed = static_cast<float*>(call.workspace);
  float* totals = packed + g.in * g.out;
  if (float* dbias = launch::out<float>(call, 2); dbias != nullptr) {
    launch::reduce_channels<float, 1>(
        pixels, g.out, totals + g.in * g.out,
        [=](Index row, Index c, float* terms) { terms[0] = dy[row * stride + c]; },
        [=](Index c, const double* sums) { dbias[c] = static_cast<float>(sums[0]); });
  }
  const auto products = conv2d::weight_gradient_layout(g);
  const Index block = conv2d::pixels_in_block(g);
  launch::in_team(true, [&, g = g] {
    for (Index first = 0; first < pixels && dweight != nullptr; first += products.pixels) {
      add_outer_products(skip + first * g.in, g.in, g.in, dy + first * stride, stride, g.out,
                         least(products.pixels, pixels - first), first > 0, products.piece, totals);
    }
#pragma omp for schedule(static)
    for (Index part = 0; part < (dweight != nullptr ? ceil_divide(g.in, kLanes) : 0); ++part) {
      conv2d::unpack_weight_gradient(g, totals, part, dweight);
    }
    if (dskip == nullptr) return;
#pragma omp for schedule(static)
    for (Index o = 0; o < g.out; ++o) conv2d::pack_data_gradient(g, weight, o, packed);
#pragma omp for schedule(static)
    for (Index first = 0; first < pixels; first += block) {
      const Index count = least(block, pixels - first);
      for (Index column = 0; column < g.in; column += kPanel) {
        multiply_deep(dy + first * stride, stride, packed + g.out * column, least(kPanel, g.in - column),
                      dskip + first * g.in + column, g.in, g.out, count);
      }
    }
  });
}

}  // namespace
}  // namespace dermatome::decoder_step

DERMATOME_CPU_TABLE(decoder_step_gradient,
                    {"decoder_step_gradient", DType::f32, decoder_step::gradient, decoder_step::gradient_workspace,
                     decoder_step::fits_gradient},
                    {"decoder_skip_gradient", DType::f32, decoder_step::skip_gradient, decoder_step::skip_workspace,
                     decoder_step::fits_skip})

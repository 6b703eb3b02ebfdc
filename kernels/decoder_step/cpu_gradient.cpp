// The gradients of decoder_step by all but the skip connection's inputs on the CPU. Those of gamma and beta follow from
// the weight gradient by the normalised x, and that of x is one pass behind the product, with the ReLU in front of the
// step.
#include <math.h>

#include "kernels/batch_norm/math.h"
#include "kernels/decoder_step/narrow_gradient.h"
#include "kernels/launch/table.h"

namespace dermatome::decoder_step {
namespace {

// Where the window of dy under tap `tap` of a pixel begins.
template <typename T>
DERMATOME_HD const T* under_tap(const Sizes& s, const T* dy, Index pixel, Index tap) {
  return dy + s.under(pixel, tap / s.kernel, tap % s.kernel) * s.channels;
}

// The windows of dy under `count` pixels from `first` on: rows[p * depth + tap * out + o], zeros behind them.
template <typename T>
void gather_windows(const Sizes& s, const T* dy, Index first, Index count, Index depth, T* rows) {
  const Index columns = s.taps() * s.out;
  for (Index p = 0; p < count; ++p) {
    T* row = rows + p * depth;
    for (Index tap = 0; tap < s.taps(); ++tap) {
      const T* from = under_tap(s, dy, first + p, tap);
#pragma omp simd
      for (Index o = 0; o < s.out; ++o) row[tap * s.out + o] = from[o];
    }
    for (Index k = columns; k < depth; ++k) row[k] = T{};
  }
}

Sizes gradient_sizes(const Call& call) {
  return sizes(call.inputs[kGradientX], call.inputs[kGradientWeight], call.inputs[kGradientDy]);
}

struct GradientLayout {
  Index pixels, piece;                                   // gathered at a time; rows of a unit of work
  Index tap_sums, factors, windows, normalised, totals;  // floats
  Index block_pixels, depth, local, panels, pairs, partial_sums;
};

template <typename T>
GradientLayout gradient_layout(const Sizes& s) {
  const Geometry g = convolution_of(s);
  const auto products = conv2d::weight_gradient_layout(g);
  GradientLayout layout{};
  layout.pixels = products.pixels * kTerms<T>;
  layout.piece = products.piece;
  layout.tap_sums = s.taps() * s.out;
  layout.factors = 5 * s.in;
  layout.windows = floats_of<T>(layout.pixels * padded_stride(s.taps() * s.out));
  layout.normalised = floats_of<T>(layout.pixels * padded_stride(s.in));
  layout.totals = s.taps() * s.out * s.in;
  layout.block_pixels = pixels_in_block<T>(g);
  layout.depth = whole_steps<T>(s.taps() * s.out);
  layout.local = layout.block_pixels * (floats_of<T>(layout.depth) + kPanel);
  layout.panels = layout.totals;
  layout.pairs = kTerms<T> > 1 ? floats_of<T>(layout.depth * s.in) : 0;
  layout.partial_sums = launch::chunks_of(s.n * s.height) * layout.tap_sums;
  if (is_narrow(s)) {
    layout.windows = layout.normalised = layout.pairs = layout.local = 0;
    layout.totals = narrow_chunks(s) * layout.panels;
  }
  return layout;
}

template <typename T>
Index gradient_workspace(const Call& call) {
  const GradientLayout l = gradient_layout<T>(gradient_sizes(call));
  const Index dweight = call.outputs[1].data == nullptr ? l.panels : 0;
  return (dweight + l.tap_sums + l.factors + l.windows + l.normalised + l.totals + omp_get_max_threads() * l.local +
          l.panels + l.pairs + l.partial_sums) *
         4;
}

template <typename T>
bool fits_gradient(const Call& call) {
  return fits(gradient_sizes(call));
}

// sums[o * taps + tap] of dy over all windows.
template <typename T>
void sum_taps(const Sizes& s, const T* dy, float* partial, float* sums) {
  const Index columns = s.taps() * s.out;
  const Index rows = s.n * s.height;
  const Index chunks = launch::chunks_of(rows);
  launch::for_each_chunk(rows, s.width * columns, [=](Index chunk, Index begin, Index end) {
    float* to = partial + chunk * columns;
    for (Index c = 0; c < columns; ++c) to[c] = 0;
    for (Index pixel = begin * s.width; pixel < end * s.width; ++pixel) {
      for (Index tap = 0; tap < s.taps(); ++tap) {
        const T* from = under_tap(s, dy, pixel, tap);
        float* of_tap = to + tap * s.out;
#pragma omp simd
        for (Index o = 0; o < s.out; ++o) of_tap[o] += launch::load(from[o]);
      }
    }
  });
  for (Index c = 0; c < columns; ++c) {
    double sum = 0;
    for (Index chunk = 0; chunk < chunks; ++chunk) sum += static_cast<double>(partial[chunk * columns + c]);
    sums[c % s.out * s.taps() + c / s.out] = static_cast<float>(sum);
  }
}

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

// Whether sums over pixels go by tiles, which hold 16 output channels of a tap.
template <typename T>
bool sums_in_tiles(const Sizes& s) {
  return in_tiles<T>() && s.out % launch::kTileRows == 0;
}

// The windows of dy under pixels [first, first + count) and x normalised there, as factors of a sum over pixels.
void gather_factors(const Sizes& s, const float* dy, const float* x, const Factors& f, Index first, Index count,
                    float* windows, float* normalised) {
#pragma omp for schedule(static)
  for (Index p = 0; p < count; ++p) {
    gather_windows(s, dy, first + p, 1, s.taps() * s.out, windows + p * padded_stride(s.taps() * s.out));
    const float* from = x + (first + p) * s.in;
    float* to = normalised + p * padded_stride(s.in);
    for (Index i = 0; i < s.in; i += kLanes) {
      launch::store(to + i, normalised_at(f.mean + i, f.inverse + i, launch::load(from + i)));
    }
  }
}
// An odd last pixel has itself beside it in the windows and zeros in x.
void gather_factors(const Sizes& s, const Bfloat16* dy, const Bfloat16* x, const Factors& f, Index first, Index count,
                    Bfloat16* windows, Bfloat16* normalised) {
  const bool tiles = sums_in_tiles<Bfloat16>(s);
  const Index columns = s.taps() * s.out;
  const Index end = tiles ? whole_groups(count) * launch::kTileTerms : count;
  if (tiles) {
#pragma omp for schedule(static) nowait
    for (Index group = 0; group < whole_groups(count); ++group) {
      const Index begin = group * launch::kTileTerms;
      for (Index tap = 0; tap < s.taps(); ++tap) {
        const Bfloat16* under[launch::kTileTerms];
        for (Index p = 0; p < launch::kTileTerms; ++p) {
          under[p] = begin + p < count ? under_tap(s, dy, first + begin + p, tap) : nullptr;
        }
        put_group(
            s.out, [&](Index p, Index channel) { return under[p] != nullptr ? under[p] + channel : nullptr; },
            windows + begin * columns + tap * s.out * launch::kTileTerms);
      }
    }
  }
#pragma omp for schedule(static)
  for (Index p = 0; p < end; p += 2) {
    if (p >= count) {
      for (Index i = 0; i < s.in; i += kLanes)
        launch::store_pairs(normalised + p * padded_stride(s.in) + 2 * i, launch::VecBits{});
      continue;
    }
    const bool alone = p + 1 == count;
    const Index second = first + p + (alone ? 0 : 1);
    for (Index tap = 0; tap < s.taps() && !tiles; ++tap) {
      interleave(under_tap(s, dy, first + p, tap), under_tap(s, dy, second, tap), s.out,
                 windows + p * padded_stride(columns) + 2 * tap * s.out);
    }
    for (Index i = 0; i < s.in; i += kLanes) {
      const Vec here = normalised_at(f.mean + i, f.inverse + i, launch::load(x + (first + p) * s.in + i));
      const Vec beside = normalised_at(f.mean + i, f.inverse + i, launch::load(x + second * s.in + i));
      launch::store_pairs(normalised + p * padded_stride(s.in) + 2 * i,
                          launch::round_pairs(here, alone ? Vec{} : beside));
    }
  }
}

// dweight by the normalised x, [in][out][taps].
template <typename T>
void weight_gradient(const Sizes& s, const GradientLayout& layout, const T* dy, const T* x, const Factors& f,
                     T* windows, T* normalised, float* totals, float* dweight) {
  const Index columns = s.taps() * s.out;
  for (Index first = 0; first < s.pixels(); first += layout.pixels) {
    const Index count = least(layout.pixels, s.pixels() - first);
    gather_factors(s, dy, x, f, first, count, windows, normalised);
    add_outer_products<T>({windows, padded_stride(columns), columns}, {normalised, padded_stride(s.in), s.in}, count,
                          first > 0, layout.piece, totals, sums_in_tiles<T>(s));
  }
  const Geometry g = convolution_of(s);
#pragma omp for schedule(static)
  for (Index part = 0; part < ceil_divide(columns, kLanes); ++part) {
    conv2d::unpack_weight_gradient(g, totals, part, dweight);
  }
}

// Products become dx, beside each other in rows of `row` channels as x is.
template <bool kMasked, typename T>
struct PutDx {
  const float *dy_factor, *x_factor, *constant;
  const T* x;
  T* dx;
  Index row;

  struct Columns {
    Vec dy_factor, x_factor, constant;
    const T* x;
    T* dx;
    Index row;
    DERMATOME_HD void put(Index r, Vec product) const {
      const Vec value = launch::load(x + r * row);
      const Vec sum = launch::multiply_add(dy_factor, product, launch::multiply_add(x_factor, value, constant));
      launch::store(dx + r * row, kMasked ? (value > Vec{} ? sum : Vec{}) : sum);
    }
  };
  DERMATOME_HD Columns at(Index column) const {
    return {launch::load(dy_factor + column),
            launch::load(x_factor + column),
            launch::load(constant + column),
            x + column,
            dx + column,
            row};
  }
};

// dx may lie in x's place: each pixel is read before it is written.
template <bool kMasked, typename T>
void data_gradient(const Sizes& s, const GradientLayout& layout, const T* dy, const T* x, const T* panels,
                   const Factors& f, float* local, T* dx) {
  const Index depth = layout.depth;
  auto* windows = reinterpret_cast<T*>(local);
  float* block = local + layout.block_pixels * floats_of<T>(depth);
#pragma omp for schedule(static)
  for (Index first = 0; first < s.pixels(); first += layout.block_pixels) {
    const Index count = least(layout.block_pixels, s.pixels() - first);
    gather_windows(s, dy, first, count, depth, windows);
    for (Index column = 0; column < s.in; column += kPanel) {
      const Index width = least(kPanel, s.in - column);
      const Index at = first * s.in + column;
      const PutDx<kMasked, T> put{
          f.dy_factor + column, f.x_factor + column, f.constant + column, x + at, dx + at, s.in};
      multiply_deep(windows, depth, panels + depth * column, width, block, width, depth, count, put);
    }
  }
}

template <typename T>
void gradient(const Call& call) {
  const Sizes s = gradient_sizes(call);
  const GradientLayout layout = gradient_layout<T>(s);
  const T* dy = launch::in<T>(call, kGradientDy);
  const T* x = launch::in<T>(call, kGradientX);
  T* dx = launch::out<T>(call, 0);
  float* dweight = launch::out<float>(call, 1);
  auto* tap_sums = static_cast<float*>(call.workspace);
  float* factors = tap_sums + layout.tap_sums;
  const Factors f{factors, factors + s.in, factors + 2 * s.in, factors + 3 * s.in, factors + 4 * s.in};
  float* windows = factors + layout.factors;
  float* normalised = windows + layout.windows;
  float* totals = normalised + layout.normalised;
  float* panels = totals + layout.totals;
  auto* pairs = reinterpret_cast<T*>(panels + layout.panels);
  float* partial = panels + layout.panels + layout.pairs;
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
  const bool masked = launch::integer(call, kGradientMasked) != 0;
  launch::in_team(true, [&] {
    const Sizes mine = s;
    if (is_narrow(mine)) {
      narrow_weight_gradient(mine, dy, x, f, totals, dweight);
#pragma omp for schedule(static)
      for (Index i = 0; i < mine.in; ++i) finish_channel(call, mine, i, tap_sums, f, dweight);
      if (dx == nullptr) return;
      const float* weight = launch::in<float>(call, kGradientWeight);
      if (masked) return narrow_data_gradient<true>(mine, dy, x, weight, f, panels, dx);
      return narrow_data_gradient<false>(mine, dy, x, weight, f, panels, dx);
    }
    weight_gradient(mine, layout, dy, x, f, reinterpret_cast<T*>(windows), reinterpret_cast<T*>(normalised), totals,
                    dweight);
#pragma omp for schedule(static)
    for (Index i = 0; i < mine.in; ++i) finish_channel(call, mine, i, tap_sums, f, dweight);
    if (dx == nullptr) return;
#pragma omp for schedule(static)
    for (Index unit = 0; unit < ceil_divide(mine.in, kPanel) * parts; ++unit) {
      const Index column = unit / parts * kPanel;
      conv2d::pack_forward(g, launch::in<float>(call, kGradientWeight), column, least(kPanel, mine.in - column),
                           unit % parts, panels + conv2d::depth_of(g) * column);
    }
    round_panels(panels, conv2d::depth_of(g), mine.in, pairs);
    const T* weight_factors = factors_of(panels, pairs);
    float* local = locals + omp_get_thread_num() * layout.local;
    if (masked) {
      data_gradient<true>(mine, layout, dy, x, weight_factors, f, local, dx);
    } else {
      data_gradient<false>(mine, layout, dy, x, weight_factors, f, local, dx);
    }
  });
}

}  // namespace
}  // namespace dermatome::decoder_step

DERMATOME_CPU_TABLE(decoder_step_gradient,
                    {"decoder_step_gradient", DType::f32, decoder_step::gradient<float>,
                     decoder_step::gradient_workspace<float>, decoder_step::fits_gradient<float>},
                    {"decoder_step_gradient", DType::bf16, decoder_step::gradient<launch::Bfloat16>,
                     decoder_step::gradient_workspace<launch::Bfloat16>, decoder_step::fits_gradient<launch::Bfloat16>,
                     true})

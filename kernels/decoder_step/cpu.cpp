// decoder_step on the CPU: scale and shift of the normalisation go into the weights and the bias of each tap, and both
// halves are written where they lie.
#include "kernels/batch_norm/statistics.h"
#include "kernels/decoder_step/products.h"
#include "kernels/launch/table.h"

namespace dermatome::decoder_step {
namespace {

constexpr Index kMostTaps = 16;  // whose weights are turned over in registers

Sizes forward_sizes(const Call& call) {
  return sizes(call.inputs[kX], call.inputs[kWeight], call.outputs[0]);
}

bool has_skip(const Call& call) {
  return call.input_count > kSkip && call.inputs[kSkip].data != nullptr;
}

Geometry skip_convolution(const Sizes& s, Index in, Index out) {
  const Index height = s.height * s.kernel;
  const Index width = s.width * s.kernel;
  return {s.n, height, width, in, height, width, out, 1, 1, 0};
}

batch_norm::Normalisation normalisation_of(const Call& call, const Sizes& s) {
  const bool train = launch::integer(call, kMode) == kModeTrain;
  auto* scale = static_cast<float*>(call.workspace);
  return {.rows = s.pixels(),
          .channels = s.in,
          .from_batch = train,
          .forward = {.gamma = launch::in<float>(call, kGamma),
                      .beta = launch::in<float>(call, kBeta),
                      .running_mean = launch::in<float>(call, kRunningMean),
                      .running_var = launch::in<float>(call, kRunningVar),
                      .mean = train ? launch::out<float>(call, 1) : nullptr,
                      .inverse_deviation = train ? launch::out<float>(call, 2) : nullptr,
                      .new_running_mean = train ? launch::out<float>(call, 3) : nullptr,
                      .new_running_var = train ? launch::out<float>(call, 4) : nullptr,
                      .scale = scale,
                      .shift = scale + s.in,
                      .epsilon = launch::real(call, kEpsilon),
                      .momentum = static_cast<float>(launch::real(call, kMomentum))}};
}

struct ForwardLayout {
  Index weight;                                                   // elements
  Index statistics, scale, packed, tap_bias, skip, pairs, local;  // floats
};

template <typename T>
ForwardLayout forward_layout(const Call& call, const Sizes& s) {
  const bool normalised = launch::integer(call, kMode) != kModeNone;
  ForwardLayout layout{};
  if (normalised) layout.statistics = batch_norm::statistics_floats(normalisation_of(call, s));
  layout.scale = 2 * s.in;
  layout.weight = s.taps() * s.out * s.in;
  layout.packed = kTerms<T> > 1 && !is_narrow(s) ? 0 : layout.weight;
  layout.tap_bias = s.taps() * s.out;
  layout.skip = has_skip(call) ? call.inputs[kSkipWeight].elements : 0;
  layout.pairs = kTerms<T> > 1 ? floats_of<T>(layout.weight + layout.skip) : 0;
  layout.local =
      most(pixels_in_block<T>(convolution_of(s)), pixels_in_block<T>(skip_convolution(s, s.in, s.out))) * kPanel;
  return layout;
}

template <typename T>
Index forward_workspace(const Call& call) {
  const ForwardLayout l = forward_layout<T>(call, forward_sizes(call));
  return (l.statistics + l.scale + l.packed + l.tap_bias + l.skip + l.pairs + omp_get_max_threads() * l.local) * 4;
}

bool fits_wide(const Call& call) {
  const Sizes s = forward_sizes(call);
  return fits(s) && !is_narrow(s) && s.taps() <= kMostTaps && (s.channels - s.out) % 16 == 0 &&
         (!has_skip(call) || call.inputs[kSkip].extent[3] % 16 == 0);
}
// An implementation of its own, so that it can be left out: then a step of few channels is not restructured.
bool fits_narrow(const Call& call) {
  const Sizes s = forward_sizes(call);
  return fits(s) && is_narrow(s);
}

// Weights times the scale of their input channel, as panels of each tap: packed[tap * in * out + in * panel + i * width
// + column]. In bf16 two input channels lie side by side, as the product takes them.
void fold_scale(const Sizes& s, const float* weight, const float* scale, float* packed) {
  const Index taps = s.taps();
#pragma omp for schedule(static)
  for (Index i = 0; i < s.in; ++i) {
    for (Index column = 0; column < s.out; column += kLanes) {
      const Index panel = column / kPanel * kPanel;
      float* to = packed + s.in * panel + i * least(kPanel, s.out - panel) + column - panel;
      conv2d::for_each_tap(weight + (i * s.out + column) * taps, taps,
                           [&](Index tap, Vec weights) { launch::store(to + tap * s.in * s.out, weights * scale[i]); });
    }
  }
}
void fold_scale(const Sizes& s, const float* weight, const float* scale, Bfloat16* packed) {
  const Index taps = s.taps();
#pragma omp for schedule(static)
  for (Index i = 0; i < s.in; i += 2) {
    for (Index column = 0; column < s.out; column += kLanes) {
      const Index panel = column / kPanel * kPanel;
      Bfloat16* to = packed + s.in * panel + i * least(kPanel, s.out - panel) + 2 * (column - panel);
      Vec first[kMostTaps];
      conv2d::for_each_tap(weight + (i * s.out + column) * taps, taps,
                           [&](Index tap, Vec weights) { first[tap] = weights * scale[i]; });
      conv2d::for_each_tap(weight + ((i + 1) * s.out + column) * taps, taps, [&](Index tap, Vec weights) {
        launch::store_pairs(to + tap * s.in * s.out, launch::round_pairs(first[tap], weights * scale[i + 1]));
      });
    }
  }
}

// The same for a narrow step: packed[(tap * out + o) * in + i].
void fold_scale_narrow(const Sizes& s, const float* weight, const float* scale, float* packed) {
#pragma omp for schedule(static)
  for (Index column = 0; column < s.taps() * s.out; ++column) {
    const Index from = column % s.out * s.taps() + column / s.out;
    for (Index i = 0; i < s.in; ++i) packed[column * s.in + i] = weight[i * s.out * s.taps() + from] * scale[i];
  }
}

// tap_bias[tap * out + o]: what the shift and the bias add up to under each tap.
void fold_shift(const Sizes& s, const float* weight, const float* bias, const float* shift, float* tap_bias) {
  constexpr Index kColumns = 64;
  const Index columns = s.out * s.taps();
#pragma omp for schedule(static)
  for (Index first = 0; first < columns; first += kColumns) {
    const Index count = least(kColumns, columns - first);
    double sums[kColumns] = {};
    for (Index i = 0; i < s.in; ++i) {
      const float* row = weight + i * columns + first;
      const auto by = static_cast<double>(shift[i]);
#pragma omp simd
      for (Index c = 0; c < count; ++c) sums[c] += static_cast<double>(row[c]) * by;
    }
    for (Index c = 0; c < count; ++c) {
      const Index o = (first + c) / s.taps();
      tap_bias[(first + c) % s.taps() * s.out + o] = static_cast<float>(sums[c] + static_cast<double>(bias[o]));
    }
  }
}

DERMATOME_HD Vec relu(Vec x) {
  return x > Vec{} ? x : Vec{};
}

// Sums become what y holds of them, through ReLU where kRelu: row r's lie from y[places[r]] on.
template <bool kRelu, typename To>
struct PutRows {
  const float* bias;
  To* y;
  const Index* places;

  struct Columns {
    Vec bias;
    To* y;
    const Index* places;
    DERMATOME_HD void put(Index row, Vec sum) const {
      launch::store(y + places[row], kRelu ? relu(sum + bias) : sum + bias);
    }
  };
  DERMATOME_HD Columns at(Index column) const { return {launch::load(bias + column), y + column, places}; }
};

template <bool kRelu, typename T, typename To>
void transposed_wide(const Sizes& s, const T* x, const T* packed, const float* tap_bias, float* block, To* y) {
  const Index pixels = pixels_in_block<T>(convolution_of(s));
#pragma omp for schedule(static)
  for (Index first = 0; first < s.pixels(); first += pixels) {
    const Index count = least(pixels, s.pixels() - first);
    for (Index tap = 0; tap < s.taps(); ++tap) {
      Index places[kMostBlockPixels];
      for (Index p = 0; p < count; ++p) {
        places[p] = s.under(first + p, tap / s.kernel, tap % s.kernel) * s.channels;
      }
      for (Index column = 0; column < s.out; column += kPanel) {
        const Index width = least(kPanel, s.out - column);
        const PutRows<kRelu, To> put{tap_bias + tap * s.out + column, y + column, places};
        multiply_deep(x + first * s.in, s.in, packed + tap * s.in * s.out + s.in * column, width, block, width, s.in,
                      count, put);
      }
    }
  }
}

// Sums of kLanes channels each for `kCount` columns from `column` on, of one pixel: sums[column * kLanes].
template <Index kCount, typename T>
DERMATOME_HD void sum_columns(const T* pixel, const float* packed, Index in, Vec* sums) {
  Vec sum[kCount] = {};
  for (Index i = 0; i < in; i += kLanes) {
    const Vec value = launch::load(pixel + i);
#pragma GCC unroll 4
    for (Index c = 0; c < kCount; ++c) {
      sum[c] = launch::multiply_add(value, launch::load(packed + c * in + i), sum[c]);
    }
  }
#pragma GCC unroll 4
  for (Index c = 0; c < kCount; ++c) sums[c * kLanes] = sum[c];
}

// As many pixels as lanes at a time: their sums are turned over, so that adding up lanes is adding registers.
template <typename T, typename To>
void transposed_narrow(const Sizes& s, const T* x, const float* packed, const float* tap_bias, To* y) {
  const Index columns = s.taps() * s.out;
#pragma omp for schedule(static)
  for (Index first = 0; first < s.pixels(); first += kLanes) {
    const Index count = least(kLanes, s.pixels() - first);
    Vec sums[conv2d::kNarrow * kLanes];
    for (Index unused = count; unused < kLanes; ++unused) {
      for (Index column = 0; column < columns; ++column) sums[column * kLanes + unused] = Vec{};
    }
    for (Index p = 0; p < count; ++p) {
      const T* pixel = x + (first + p) * s.in;
      Index column = 0;
      for (; column + 4 <= columns; column += 4) {
        sum_columns<4>(pixel, packed + column * s.in, s.in, sums + column * kLanes + p);
      }
      for (; column < columns; ++column) {
        sum_columns<1>(pixel, packed + column * s.in, s.in, sums + column * kLanes + p);
      }
    }
    for (Index column = 0; column < columns; ++column) {
      launch::transpose(sums + column * kLanes);
      Vec total{};
      for (Index lane = 0; lane < kLanes; ++lane) total += sums[column * kLanes + lane];
      const Index tap = column / s.out;
      for (Index p = 0; p < count; ++p) {
        y[s.under(first + p, tap / s.kernel, tap % s.kernel) * s.channels + column % s.out] =
            launch::store<To>(total[p] + tap_bias[column]);
      }
    }
  }
}

// The last channels of y.
template <typename T, typename To>
void skip_part(const Geometry& g, const T* skip, const T* panels, const float* bias, Index channels, float* block,
               To* y) {
  const Index pixels = pixels_in_block<T>(g);
  Index places[kMostBlockPixels];
  for (Index p = 0; p < pixels; ++p) places[p] = p * channels;
#pragma omp for schedule(static)
  for (Index first = 0; first < conv2d::pixels_of(g); first += pixels) {
    const Index count = least(pixels, conv2d::pixels_of(g) - first);
    for (Index column = 0; column < g.out; column += kPanel) {
      const Index width = least(kPanel, g.out - column);
      const PutRows<true, To> put{bias + column, y + first * channels + channels - g.out + column, places};
      multiply_deep(skip + first * g.in, g.in, panels + g.in * column, width, block, width, g.in, count, put);
    }
  }
}

template <typename T, typename To>
void forward(const Call& call) {
  const Sizes s = forward_sizes(call);
  const ForwardLayout layout = forward_layout<T>(call, s);
  const T* x = launch::in<T>(call, kX);
  const float* weight = launch::in<float>(call, kWeight);
  const float* bias = launch::in<float>(call, kBias);
  To* y = launch::out<To>(call, 0);
  auto* scale = static_cast<float*>(call.workspace);
  float* shift = scale + s.in;
  float* packed = scale + layout.scale;
  float* tap_bias = packed + layout.packed;
  float* skip_panels = tap_bias + layout.tap_bias;
  auto* pairs = reinterpret_cast<T*>(skip_panels + layout.skip);
  float* locals = skip_panels + layout.skip + layout.pairs;
  if (launch::integer(call, kMode) != kModeNone) {
    batch_norm::normalise(normalisation_of(call, s), x, locals + omp_get_max_threads() * layout.local);
  } else {
    for (Index i = 0; i < s.in; ++i) {
      scale[i] = 1;
      shift[i] = 0;
    }
  }
  if (y == nullptr) return;
  const bool joined = has_skip(call);
  const Geometry g = skip_convolution(s, joined ? call.inputs[kSkip].extent[3] : 0, s.channels - s.out);
  launch::in_team(true, [&] {
    const Sizes mine = s;
    fold_shift(mine, weight, bias, shift, tap_bias);
    if (is_narrow(mine)) {
      fold_scale_narrow(mine, weight, scale, packed);
      transposed_narrow(mine, x, packed, tap_bias, y);
      return;
    }
    T* factors = factors_of(packed, pairs);
    fold_scale(mine, weight, scale, factors);
    float* block = locals + omp_get_thread_num() * layout.local;
    if (!joined) return transposed_wide<false>(mine, x, factors, tap_bias, block, y);
    const Index parts = ceil_divide(g.in, kLanes);
#pragma omp for schedule(static)
    for (Index unit = 0; unit < ceil_divide(g.out, kPanel) * parts; ++unit) {
      const Index column = unit / parts * kPanel;
      conv2d::pack_forward(g, launch::in<float>(call, kSkipWeight), column, least(kPanel, g.out - column), unit % parts,
                           skip_panels + g.in * column);
    }
    transposed_wide<true>(mine, x, factors, tap_bias, block, y);
    round_panels(skip_panels, g.in, g.out, pairs + layout.weight);
    skip_part(g, launch::in<T>(call, kSkip), factors_of(skip_panels, pairs + layout.weight),
              launch::in<float>(call, kSkipBias), mine.channels, block, y);
  });
}

// Logits are f32.
void forward_bf16(const Call& call) {
  if (call.outputs[0].type == DType::f32) return forward<Bfloat16, float>(call);
  forward<Bfloat16, Bfloat16>(call);
}

}  // namespace
}  // namespace dermatome::decoder_step

DERMATOME_CPU_TABLE(decoder_step,
                    {"decoder_step", DType::f32, decoder_step::forward<float, float>,
                     decoder_step::forward_workspace<float>, decoder_step::fits_wide},
                    {"decoder_step", DType::bf16, decoder_step::forward_bf16,
                     decoder_step::forward_workspace<launch::Bfloat16>, decoder_step::fits_wide, true})
DERMATOME_CPU_TABLE(decoder_step_narrow,
                    {"decoder_step", DType::f32, decoder_step::forward<float, float>,
                     decoder_step::forward_workspace<float>, decoder_step::fits_narrow},
                    {"decoder_step", DType::bf16, decoder_step::forward_bf16,
                     decoder_step::forward_workspace<launch::Bfloat16>, decoder_step::fits_narrow, true})

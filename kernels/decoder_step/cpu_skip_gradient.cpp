// The gradients of decoder_step by the skip connection's inputs on the CPU: those of a 1x1 convolution whose output
// lies beside other channels.
#include "kernels/decoder_step/products.h"
#include "kernels/launch/table.h"

namespace dermatome::decoder_step {
namespace {

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

struct SkipLayout {
  Index pixels, piece;                   // summed at a time; rows of a unit of work
  Index packed, totals, pairs, factors;  // floats
  Index block_pixels, local;
};

template <typename T>
SkipLayout skip_layout(const Geometry& g) {
  const auto products = conv2d::weight_gradient_layout(g);
  SkipLayout layout{};
  layout.pixels = products.pixels * kTerms<T>;
  layout.piece = products.piece;
  layout.packed = g.in * g.out;
  layout.totals = g.in * g.out;
  layout.block_pixels = pixels_in_block<T>(g);
  layout.local = layout.block_pixels * kPanel;
  if constexpr (kTerms<T> == 1) return layout;
  layout.pairs = floats_of<T>(g.in * g.out);
  layout.factors = floats_of<T>(layout.pixels * (padded_stride(g.in) + padded_stride(g.out)));
  return layout;
}

template <typename T>
Index skip_workspace(const Call& call) {
  const Geometry g = skip_sizes(call).g;
  const SkipLayout l = skip_layout<T>(g);
  const bool bias = call.outputs[2].data != nullptr;
  return (l.packed + l.totals + l.pairs + l.factors + omp_get_max_threads() * l.local) * 4 +
         (bias ? conv2d::bias_gradient_workspace(conv2d::pixels_of(g), g.out) : 0);
}

template <typename T>
bool fits_skip(const Call& call) {
  const Geometry g = skip_sizes(call).g;
  return g.in % 16 == 0 && g.out % 16 == 0;
}

// Rows of `channels` numbers, `stride` apart, as factors of a sum over `count` of them: in f32 where they lie.
DERMATOME_HD Pixels<float> factors_of_rows(const float* from, Index stride, Index channels, Index, float*) {
  return {from, stride, channels};
}
// In bf16 side by side in `to`, an odd last one with zeros.
inline Pixels<Bfloat16> factors_of_rows(const Bfloat16* from, Index stride, Index channels, Index count, Bfloat16* to) {
  const Index end = in_tiles<Bfloat16>() ? whole_groups(count) * launch::kTileTerms : count;
#pragma omp for schedule(static)
  for (Index p = 0; p < end; p += 2) {
    Bfloat16* pair = to + p * padded_stride(channels);
    if (p >= count) {
      for (Index c = 0; c < channels; c += kLanes) launch::store_pairs(pair + 2 * c, launch::VecBits{});
      continue;
    }
    if (p + 1 < count) {
      interleave(from + p * stride, from + (p + 1) * stride, channels, pair);
      continue;
    }
    for (Index c = 0; c < channels; c += kLanes) {
      launch::store_pairs(pair + 2 * c, launch::load_bits(from + p * stride + c));
    }
  }
  return {to, padded_stride(channels), channels};
}

// The same as the first factor.
inline Pixels<float> first_factors_of_rows(const float* from, Index stride, Index channels, Index count, float* to) {
  return factors_of_rows(from, stride, channels, count, to);
}
inline Pixels<Bfloat16> first_factors_of_rows(const Bfloat16* from, Index stride, Index channels, Index count,
                                              Bfloat16* to) {
  if (!in_tiles<Bfloat16>()) return factors_of_rows(from, stride, channels, count, to);
#pragma omp for schedule(static)
  for (Index group = 0; group < whole_groups(count); ++group) {
    const Index begin = group * launch::kTileTerms;
    put_group(
        channels,
        [=](Index p, Index channel) { return begin + p < count ? from + (begin + p) * stride + channel : nullptr; },
        to + begin * channels);
  }
  return {to, channels, channels};
}

template <typename T>
void weight_gradient(const Geometry& g, const SkipLayout& layout, const T* skip, const T* dy, Index channels,
                     T* factors, float* totals, float* dweight) {
  const Index pixels = conv2d::pixels_of(g);
  for (Index first = 0; first < pixels; first += layout.pixels) {
    const Index count = least(layout.pixels, pixels - first);
    const auto rows = first_factors_of_rows(skip + first * g.in, g.in, g.in, count, factors);
    const auto columns =
        factors_of_rows(dy + first * channels, channels, g.out, count, factors + layout.pixels * padded_stride(g.in));
    add_outer_products(rows, columns, count, first > 0, layout.piece, totals, in_tiles<T>());
  }
#pragma omp for schedule(static)
  for (Index part = 0; part < ceil_divide(g.in, kLanes); ++part) {
    conv2d::unpack_weight_gradient(g, totals, part, dweight);
  }
}

// Sums become what dskip holds of them.
template <typename T>
struct PutSums {
  T* to;
  Index to_row;

  DERMATOME_HD PutSums at(Index column) const { return {to + column, to_row}; }
  DERMATOME_HD void put(Index row, Vec sum) const { launch::store(to + row * to_row, sum); }
};

template <typename T>
void skip_gradient(const Call& call) {
  const auto [g, channels] = skip_sizes(call);
  const SkipLayout layout = skip_layout<T>(g);
  const Index pixels = conv2d::pixels_of(g);
  const Index stride = channels;
  const T* dy = launch::in<T>(call, 0) + channels - g.out;
  const T* skip = launch::in<T>(call, 1);
  T* dskip = launch::out<T>(call, 0);
  float* dweight = launch::out<float>(call, 1);
  auto* packed = static_cast<float*>(call.workspace);
  float* totals = packed + layout.packed;
  auto* pairs = reinterpret_cast<T*>(totals + layout.totals);
  auto* factors = reinterpret_cast<T*>(totals + layout.totals + layout.pairs);
  float* locals = totals + layout.totals + layout.pairs + layout.factors;
  if (float* dbias = launch::out<float>(call, 2); dbias != nullptr) {
    launch::reduce_channels<float, 1>(
        pixels, g.out, locals + omp_get_max_threads() * layout.local,
        [=](Index row, Index c, float* terms) { terms[0] = launch::load(dy[row * stride + c]); },
        [=](Index c, const double* sums) { dbias[c] = static_cast<float>(sums[0]); });
  }
  launch::in_team(true, [&, g = g] {
    if (dweight != nullptr) weight_gradient(g, layout, skip, dy, stride, factors, totals, dweight);
    if (dskip == nullptr) return;
#pragma omp for schedule(static)
    for (Index o = 0; o < g.out; ++o) conv2d::pack_data_gradient(g, launch::in<float>(call, 2), o, packed);
    round_panels(packed, g.out, g.in, pairs);
    const T* panels = factors_of(packed, pairs);
    float* block = locals + omp_get_thread_num() * layout.local;
#pragma omp for schedule(static)
    for (Index first = 0; first < pixels; first += layout.block_pixels) {
      const Index count = least(layout.block_pixels, pixels - first);
      for (Index column = 0; column < g.in; column += kPanel) {
        const Index width = least(kPanel, g.in - column);
        multiply_deep(dy + first * stride, stride, panels + g.out * column, width, block, width, g.out, count,
                      PutSums<T>{dskip + first * g.in + column, g.in});
      }
    }
  });
}

}  // namespace
}  // namespace dermatome::decoder_step

DERMATOME_CPU_TABLE(decoder_skip_gradient,
                    {"decoder_skip_gradient", DType::f32, decoder_step::skip_gradient<float>,
                     decoder_step::skip_workspace<float>, decoder_step::fits_skip<float>},
                    {"decoder_skip_gradient", DType::bf16, decoder_step::skip_gradient<launch::Bfloat16>,
                     decoder_step::skip_workspace<launch::Bfloat16>, decoder_step::fits_skip<launch::Bfloat16>, true})

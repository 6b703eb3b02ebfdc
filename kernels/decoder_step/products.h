// What decoder_step and its gradients on the CPU share: they are matrix products over pixels (conv2d/product.h), of f32
// or of bf16 factors.
#pragma once

#include "kernels/conv2d/product.h"
#include "kernels/decoder_step/math.h"
#include "kernels/launch/processor.h"

namespace dermatome::decoder_step {
inline namespace DERMATOME_ISA {

using conv2d::ceil_divide;
using conv2d::Geometry;
using conv2d::kBlockDepth;
using conv2d::kSumPixels;
using conv2d::least;
using conv2d::most;
using launch::Bfloat16;
using launch::Index;
using launch::kLanes;
using launch::kPanel;
using launch::kTerms;
using launch::Vec;

// The convolution whose data gradient the step is: from y to x.
inline Geometry convolution_of(const Sizes& s) {
  return {s.n, s.height * s.kernel, s.width * s.kernel, s.out, s.height, s.width, s.in, s.kernel, s.kernel, 0};
}

// A few output channels are sums over lanes.
inline bool is_narrow(const Sizes& s) {
  return s.taps() * s.out <= conv2d::kNarrow && s.out % 16 != 0;
}

// Vectors run along the channels.
inline bool fits(const Sizes& s) {
  return s.in % 16 == 0 && (s.out % 16 == 0 || (is_narrow(s) && s.channels == s.out));
}

// `depth` terms as whole steps of a product.
template <typename T>
DERMATOME_HD Index whole_steps(Index depth) {
  return ceil_divide(depth, kTerms<T>) * kTerms<T>;
}

// Floats of workspace that hold `count` elements.
template <typename T>
DERMATOME_HD Index floats_of(Index count) {
  return ceil_divide(count, kTerms<T>);
}

// to[c] = {first[c], second[c]}
DERMATOME_HD void interleave(const Bfloat16* first, const Bfloat16* second, Index count, Bfloat16* to) {
  Index c = 0;
  for (; c + kLanes <= count; c += kLanes) {
    launch::store_pairs(to + 2 * c, launch::load_bits(first + c) | launch::load_bits(second + c) << 16);
  }
  for (; c < count; ++c) {
    to[2 * c] = first[c];
    to[2 * c + 1] = second[c];
  }
}

// Panels of f32 weights (conv2d/product.h) become in `pairs` those of a product of bf16 factors: rounded, two terms of
// each column side by side, zeros behind an odd number of them. Shared by the team.
DERMATOME_HD void round_panels(const float*, Index, Index, float*) {}
inline void round_panels(const float* panels, Index depth, Index columns, Bfloat16* pairs) {
  const Index steps = ceil_divide(depth, 2);
#pragma omp for schedule(static)
  for (Index unit = 0; unit < ceil_divide(columns, kPanel) * steps; ++unit) {
    const Index column = unit / steps * kPanel;
    const Index k = unit % steps * 2;
    const Index width = least(kPanel, columns - column);
    const float* from = panels + depth * column + k * width;
    Bfloat16* to = pairs + 2 * steps * column + k * width;
    for (Index c = 0; c < width; c += kLanes) {
      const Vec second = k + 1 < depth ? launch::load(from + width + c) : Vec{};
      launch::store_pairs(to + 2 * c, launch::round_pairs(launch::load(from + c), second));
    }
  }
}
// Which of the two a product of T takes.
DERMATOME_HD float* factors_of(float* panels, float*) {
  return panels;
}
DERMATOME_HD Bfloat16* factors_of(float*, Bfloat16* pairs) {
  return pairs;
}

// Whether products of T go by tiles (launch/tiles.h).
template <typename T>
DERMATOME_HD bool in_tiles() {
  if constexpr (std::is_same_v<T, Bfloat16>) return launch::has_bf16_matrix_unit();
  return false;
}

// Pixels of a thread's block: whole rows of tiles where products go by tiles.
constexpr Index kMostBlockPixels = 128;
template <typename T>
inline Index pixels_in_block(const Geometry& g) {
  if (!in_tiles<T>()) return conv2d::pixels_in_block(g);
  constexpr Index kRows = 2 * launch::kTileRows;
  const Index each = ceil_divide(conv2d::pixels_of(g), omp_get_max_threads());
  return least(kMostBlockPixels, ceil_divide(each, kRows) * kRows);
}

// `count` rows of `depth` terms (whole steps), a_row apart, times one panel of b whose rows are `width` columns long.
// `finish`: behind the last term (launch/matrix.h); the sums before it lie in c.
template <typename T, typename Finish = launch::Unchanged>
DERMATOME_HD void multiply_deep(const T* a, Index a_row, const T* panel, Index width, float* c, Index c_row,
                                Index depth, Index count, const Finish& finish = {}) {
  constexpr Index kTermsOfTiles = 1024;
  const Index terms_at_once = in_tiles<T>() ? kTermsOfTiles : kBlockDepth * kTerms<T>;
  const auto multiply = [&](Index k, const auto& then) {
    const launch::ProductOf<T> product{.a = a + k,
                                       .a_row = a_row,
                                       .a_step = kTerms<T>,
                                       .b = panel + k * width,
                                       .b_row = width * kTerms<T>,
                                       .c = c,
                                       .c_row = c_row,
                                       .depth = least(terms_at_once, depth - k) / kTerms<T>,
                                       .accumulate = k > 0};
    launch::multiply_columns(product, count, width, then);
  };
  Index k = 0;
  for (; k + terms_at_once < depth; k += terms_at_once) multiply(k, launch::Unchanged{});
  multiply(k, finish);
}

// Factors of a sum over pixels. f32: pixel p of a tensor at data[p * stride]. bf16: two pixels side by side, those of
// channel c at data[p / 2 * 2 * stride + 2 * c].
template <typename T>
struct Pixels {
  const T* data;
  Index stride, channels;

  DERMATOME_HD const T* at(Index p, Index channel) const { return data + p * stride + channel * kTerms<T>; }
};

// A stride for `channels` that is no multiple of 4 KiB: the pixels of a channel must not fall into one set of a cache.
DERMATOME_HD Index padded_stride(Index channels) {
  return channels + 16;
}

// By tiles, the first factor of a sum over pixels lies as launch::put_rows does it, 32 pixels after 32 pixels. What is
// left of the last ones is zero in both factors.
template <typename At>
inline void put_group(Index channels, const At& at, Bfloat16* to) {
  launch::put_rows(channels, at, to, launch::kTileTerms);
}
DERMATOME_HD Index whole_groups(Index pixels) {
  return ceil_divide(pixels, launch::kTileTerms);
}

// add_outer_products of such an a.
inline void add_outer_tiles(const Bfloat16* a, Index rows, const Pixels<Bfloat16>& b, Index count, bool accumulate,
                            float* totals) {
  constexpr Index kRows = 2 * launch::kTileRows;
  constexpr Index kColumns = 2 * launch::kTileColumns;
  constexpr Index kGroups = 8;  // of both factors together as many as the first cache holds
  const Index panels = ceil_divide(b.channels, kPanel);
  const Index groups = whole_groups(count);
#pragma omp for schedule(static)
  for (Index unit = 0; unit < ceil_divide(rows, kRows) * panels; ++unit) {
    const Index row = unit / panels * kRows;
    const Index more = least(kRows, rows - row) - launch::kTileRows;
    const launch::Tiles tiles(launch::kTileRows, more, launch::kTileSteps);
    const Index first = unit % panels * kPanel;
    const Index end = first + least(kPanel, b.channels - first);
    for (Index group = 0; group < groups; group += kGroups) {
      for (Index column = first; column < end; column += kColumns) {
        const launch::TileProduct product{.a = a + (group * rows + row) * launch::kTileTerms,
                                          .a_row = launch::kTileTerms,
                                          .a_block = rows * launch::kTileTerms,
                                          .b = b.at(group * launch::kTileTerms, column),
                                          .b_row = b.stride * 2,
                                          .b_block = b.stride * launch::kTileTerms,
                                          .b_tile = 2 * launch::kTileColumns,
                                          .c = totals + row * b.channels + column,
                                          .c_row = b.channels,
                                          .blocks = least(kGroups, groups - group),
                                          .accumulate = accumulate || group > 0};
        launch::multiply_tile_block(product, launch::kTileRows, more, least(kColumns, end - column));
      }
    }
  }
}

// totals[row * columns + column] (+)= sum of a[p][row] * b[p][column] over `count` pixels. Shared by the team, in
// pieces of `piece` rows. `tiles`: by tiles, of an a that is laid out as put_group
// does it.
template <typename T>
inline void add_outer_products(const Pixels<T>& a, const Pixels<T>& b, Index count, bool accumulate, Index piece,
                               float* totals, bool tiles) {
  if constexpr (std::is_same_v<T, Bfloat16>) {
    if (tiles) return add_outer_tiles(a.data, a.channels, b, count, accumulate, totals);
  }
  constexpr Index kPixels = kSumPixels * kTerms<T>;
  const Index panels = ceil_divide(b.channels, kPanel);
#pragma omp for schedule(static)
  for (Index unit = 0; unit < ceil_divide(a.channels, piece) * panels; ++unit) {
    const Index row = unit / panels * piece;
    const Index column = unit % panels * kPanel;
    for (Index p = 0; p < count; p += kPixels) {
      const launch::ProductOf<T> product{.a = a.at(p, row),
                                         .a_row = kTerms<T>,
                                         .a_step = a.stride * kTerms<T>,
                                         .b = b.at(p, column),
                                         .b_row = b.stride * kTerms<T>,
                                         .c = totals + row * b.channels + column,
                                         .c_row = b.channels,
                                         .depth = ceil_divide(least(kPixels, count - p), kTerms<T>),
                                         .accumulate = accumulate || p > 0};
      launch::multiply_columns(product, least(piece, a.channels - row), least(kPanel, b.channels - column),
                               launch::Unchanged{});
    }
  }
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::decoder_step

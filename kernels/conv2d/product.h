// Convolutions as matrix products over pixels: rows are output pixels, with what lies under their windows gathered into
// cache a block at a time (or read in place where the window is one pixel), columns are channels. Serves every
// convolution that is no 3x3 of stride 1, and the transposed convolution.
#pragma once

#include <omp.h>

#include "kernels/conv2d/epilogue.h"
#include "kernels/conv2d/geometry.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/matrix.h"

namespace dermatome::conv2d {
inline namespace DERMATOME_ISA {

using launch::Index;
using launch::kLanes;
using launch::kPanel;
using launch::Vec;

constexpr Index kBlockPixels = 60;  // of a thread's block, a multiple of kBlockRows
constexpr Index kBlockDepth = 96;   // steps of a sum between two visits of its result: a panel's lie in the first cache
constexpr Index kNarrow = 16;       // up to here so many output columns are sums over lanes instead of panels

DERMATOME_HD Index least(Index a, Index b) {
  return a < b ? a : b;
}
DERMATOME_HD Index most(Index a, Index b) {
  return a > b ? a : b;
}
DERMATOME_HD Index ceil_divide(Index a, Index b) {
  return (a + b - 1) / b;
}

DERMATOME_HD Index taps_of(const Geometry& g) {
  return g.kernel * g.kernel;
}
DERMATOME_HD Index depth_of(const Geometry& g) {
  return taps_of(g) * g.in;
}
DERMATOME_HD Index pixels_of(const Geometry& g) {
  return g.n * g.out_height * g.out_width;
}
DERMATOME_HD bool one_pixel_window(const Geometry& g) {
  return g.kernel == 1 && g.stride == 1 && g.pad == 0;
}

// Pixels of a block, so that each thread has as many blocks.
inline Index pixels_in_block(const Geometry& g) {
  const Index threads = omp_get_max_threads();
  const Index rounds = ceil_divide(pixels_of(g), kBlockPixels * threads);
  return ceil_divide(pixels_of(g), rounds * threads);
}

struct Pixel {
  Index image, y, x;
};
DERMATOME_HD Pixel pixel_at(const Geometry& g, Index index) {
  const Index in_image = index % (g.out_height * g.out_width);
  return {index / (g.out_height * g.out_width), in_image / g.out_width, in_image % g.out_width};
}

DERMATOME_HD void next_pixel(const Geometry& g, Pixel& at) {
  if (++at.x < g.out_width) return;
  at.x = 0;
  if (++at.y < g.out_height) return;
  at.y = 0;
  ++at.image;
}

template <typename T>
DERMATOME_HD void copy_numbers(T* to, const T* from, Index count) {
#pragma omp simd
  for (Index i = 0; i < count; ++i) to[i] = from[i];
}
DERMATOME_HD void copy_numbers(launch::Bfloat16* to, const launch::Bfloat16* from, Index count) {
  launch::copy_short(to, from, count);
}
template <typename T>
DERMATOME_HD void zero_numbers(T* to, Index count) {
#pragma omp simd
  for (Index i = 0; i < count; ++i) to[i] = T{};
}
DERMATOME_HD void zero_numbers(launch::Bfloat16* to, Index count) {
  launch::copy_short(to, nullptr, count);
}

// What lies under the windows of output pixels [first, first + count), as rows of [ky][kx][in], `row` apart; outside
// the input: zeros.
template <typename T>
inline __attribute__((noinline)) void gather_windows(const Geometry& g, const T* x, Index first, Index count, T* rows,
                                                     Index row) {
  const Index line = g.kernel * g.in;
  Pixel at = pixel_at(g, first);
  for (Index p = 0; p < count; ++p, next_pixel(g, at)) {
    const Index left = at.x * g.stride - g.pad;
    const Index top = at.y * g.stride - g.pad;
    if (left >= 0 && left + g.kernel <= g.width && top >= 0 && top + g.kernel <= g.height) {
      const T* from = x + ((at.image * g.height + top) * g.width + left) * g.in;
      for (Index ky = 0; ky < g.kernel; ++ky)
        copy_numbers(rows + p * row + ky * line, from + ky * g.width * g.in, line);
      continue;
    }
    for (Index ky = 0; ky < g.kernel; ++ky) {
      T* to = rows + p * row + ky * line;
      const Index y = top + ky;
      if (y < 0 || y >= g.height) {
        zero_numbers(to, line);
        continue;
      }
      const T* from = x + ((at.image * g.height + y) * g.width + left) * g.in;
      const Index begin = least(g.kernel, most(0, -left)) * g.in;
      const Index end = most(0, least(g.kernel, g.width - left)) * g.in;
      if (begin > 0) zero_numbers(to, begin);
      copy_numbers(to + begin, from + begin, end - begin);
      if (end < line) zero_numbers(to + end, line - end);
    }
  }
}

// --- forward ---

// Weights OIHW as panels of output channels: panel[k * width + column] with k = tap * in + i. `part` counts runs of
// kLanes weights of an output channel, which are turned over in registers.
DERMATOME_HD void pack_forward(const Geometry& g, const float* weight, Index first, Index width, Index part,
                               float* panel) {
  const Index taps = taps_of(g);
  const Index depth = depth_of(g);
  const Index begin = part * kLanes;
  const int count = static_cast<int>(least(kLanes, depth - begin));
  for (Index column = 0; column < width; column += kLanes) {
    Vec rows[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      rows[lane] = launch::load_first(weight + (first + column + lane) * depth + begin, count);
    }
    launch::transpose(rows);
    for (int j = 0; j < count; ++j) {
      const Index k = (begin + j) % taps * g.in + (begin + j) / taps;
      launch::store(panel + k * width + column, rows[j]);
    }
  }
}

struct ForwardLayout {
  Index pixels, panels, local;  // of a block; floats
};

inline ForwardLayout forward_layout(const Geometry& g) {
  const Index pixels = pixels_in_block(g);
  return {pixels, depth_of(g) * g.out, one_pixel_window(g) ? 0 : pixels * depth_of(g)};
}

inline Index forward_product_workspace(const Geometry& g) {
  const ForwardLayout layout = forward_layout(g);
  return (layout.panels + omp_get_max_threads() * layout.local) * 4;
}

template <typename Finish>
inline void forward_product(const Geometry& g, const float* x, const float* weight, const Finish& finish, float* y,
                            float* workspace) {
  const ForwardLayout layout = forward_layout(g);
  const Index depth = depth_of(g);
  const Index parts = ceil_divide(depth, kLanes);
  float* panels = workspace;
  launch::in_team(true, [&] {
    const Finish my_finish = finish;
    float* rows = workspace + layout.panels + omp_get_thread_num() * layout.local;
#pragma omp for schedule(static)
    for (Index unit = 0; unit < ceil_divide(g.out, kPanel) * parts; ++unit) {
      const Index column = unit / parts * kPanel;
      pack_forward(g, weight, column, least(kPanel, g.out - column), unit % parts, panels + depth * column);
    }
#pragma omp for schedule(static)
    for (Index first = 0; first < pixels_of(g); first += layout.pixels) {
      const Index count = least(layout.pixels, pixels_of(g) - first);
      if (!one_pixel_window(g)) gather_windows(g, x, first, count, rows, depth);
      const float* a = one_pixel_window(g) ? x + first * g.in : rows;
      for (Index column = 0; column < g.out; column += kPanel) {
        const Index width = least(kPanel, g.out - column);
        float* to = y + first * g.out + column;
        const auto multiply = [&](Index k, const auto& last) {
          launch::multiply_panel({.a = a + k,
                                  .a_row = depth,
                                  .a_step = 1,
                                  .b = panels + depth * column + k * width,
                                  .b_row = width,
                                  .c = to,
                                  .c_row = g.out,
                                  .depth = least(kBlockDepth, depth - k),
                                  .accumulate = k > 0},
                                 count, width, last);
        };
        Index k = 0;
        for (; k + kBlockDepth < depth; k += kBlockDepth) multiply(k, launch::Unchanged{});
        multiply(k, my_finish.from(column, first * g.out + column));
      }
    }
  });
}

// --- data gradient where windows do not overlap (kernel <= stride, no padding): every pixel of dx has one source ---

// The weights of kLanes channels that lie one behind the other, tap by tap: f(tap, weights).
template <typename F>
DERMATOME_HD void for_each_tap(const float* from, Index taps, const F& f) {
  constexpr int kFour = 4;  // kernels of 2 x 2: whole registers
  if (taps == kFour) {
    Vec parts[kFour];
    for (int part = 0; part < kFour; ++part) parts[part] = launch::load(from + part * kLanes);
#pragma GCC unroll 4
    for (int tap = 0; tap < kFour; ++tap) {
      launch::VecIndex every_fourth;
      launch::VecIndex halves;
      for (int lane = 0; lane < kLanes; ++lane) {
        every_fourth[lane] = (tap + kFour * lane) % (2 * kLanes);
        halves[lane] = lane < kLanes / 2 ? lane : lane + kLanes / 2;
      }
      f(tap, __builtin_shuffle(__builtin_shuffle(parts[0], parts[1], every_fourth),
                               __builtin_shuffle(parts[2], parts[3], every_fourth), halves));
    }
    return;
  }
  for (Index begin = 0; begin < taps; begin += kLanes) {
    const int count = static_cast<int>(least(kLanes, taps - begin));
    Vec rows[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) rows[lane] = launch::load_first(from + lane * taps + begin, count);
    launch::transpose(rows);
    for (int j = 0; j < count; ++j) f(begin + j, rows[j]);
  }
}

// One output channel's weights as a row of the panels of each tap: packed[tap * out * in + out * panel + o * width +
// column].
DERMATOME_HD void pack_data_gradient(const Geometry& g, const float* weight, Index o, float* packed) {
  const Index taps = taps_of(g);
  for (Index column = 0; column < g.in; column += kLanes) {
    const Index panel = column / kPanel * kPanel;
    float* to = packed + g.out * panel + o * least(kPanel, g.in - panel) + column - panel;
    for_each_tap(weight + (o * g.in + column) * taps, taps,
                 [=](Index tap, Vec weights) { launch::store(to + tap * g.out * g.in, weights); });
  }
}

DERMATOME_HD bool is_narrow(const Geometry& g) {
  return taps_of(g) * g.in <= kNarrow && g.out % 16 == 0;
}

inline Index data_gradient_product_workspace(const Geometry& g) {
  const Index local = is_narrow(g) ? 0 : pixels_in_block(g) * kPanel;
  return (depth_of(g) * g.out + omp_get_max_threads() * local) * 4;
}

// The pixel of dx under tap (ky, kx) of an output pixel.
DERMATOME_HD float* under_window(const Geometry& g, float* dx, const Pixel& at, Index ky, Index kx) {
  return dx + ((at.image * g.height + at.y * g.stride + ky) * g.width + at.x * g.stride + kx) * g.in;
}

// A few sums over lanes for each output pixel: the net's last layer, 256 channels to 2 x 2 pixels of one.
inline void narrow_data_gradient(const Geometry& g, const float* dy, const float* weight, const float* bias, float* dx,
                                 float* packed) {
  const Index taps = taps_of(g);
  const Index columns = taps * g.in;
  for (Index o = 0; o < g.out; ++o) {
    for (Index i = 0; i < g.in; ++i) {
      for (Index tap = 0; tap < taps; ++tap) packed[(tap * g.in + i) * g.out + o] = weight[(o * g.in + i) * taps + tap];
    }
  }
  launch::in_team(true, [&] {
#pragma omp for schedule(static)
    for (Index p = 0; p < pixels_of(g); ++p) {
      const Pixel at = pixel_at(g, p);
      const float* from = dy + p * g.out;
      for (Index column = 0; column < columns; ++column) {
        Vec sum{};
        for (Index o = 0; o < g.out; o += kLanes) {
          sum = launch::multiply_add(launch::load(from + o), launch::load(packed + column * g.out + o), sum);
        }
        const Index tap = column / g.in;
        const Index i = column % g.in;
        under_window(g, dx, at, tap / g.kernel, tap % g.kernel)[i] =
            launch::sum_of_lanes(sum) + (bias != nullptr ? bias[i] : 0.0f);
      }
    }
  });
}

inline void wide_data_gradient(const Geometry& g, const float* dy, const float* weight, const float* bias, float* dx,
                               float* packed) {
  const Index pixels = pixels_in_block(g);
  const Index taps = taps_of(g);
  launch::in_team(true, [&] {
    float* block = packed + depth_of(g) * g.out + omp_get_thread_num() * pixels * kPanel;
#pragma omp for schedule(static)
    for (Index o = 0; o < g.out; ++o) pack_data_gradient(g, weight, o, packed);
#pragma omp for schedule(static)
    for (Index first = 0; first < pixels_of(g); first += pixels) {
      const Index count = least(pixels, pixels_of(g) - first);
      for (Index tap = 0; tap < taps; ++tap) {
        for (Index column = 0; column < g.in; column += kPanel) {
          const Index width = least(kPanel, g.in - column);
          const float* panel = packed + tap * g.out * g.in + g.out * column;
          for (Index k = 0; k < g.out; k += kBlockDepth) {
            launch::multiply_panel({.a = dy + first * g.out + k,
                                    .a_row = g.out,
                                    .a_step = 1,
                                    .b = panel + k * width,
                                    .b_row = width,
                                    .c = block,
                                    .c_row = width,
                                    .depth = least(kBlockDepth, g.out - k),
                                    .accumulate = k > 0},
                                   count, width);
          }
          for (Index p = 0; p < count; ++p) {
            float* to = under_window(g, dx, pixel_at(g, first + p), tap / g.kernel, tap % g.kernel) + column;
            for (Index c = 0; c < width; c += kLanes) {
              const Vec offset = bias != nullptr ? launch::load(bias + column + c) : Vec{};
              launch::store(to + c, launch::load(block + p * width + c) + offset);
            }
          }
        }
      }
    }
  });
}

// Pixels under no window get the bias alone.
inline void data_gradient_product(const Geometry& g, const float* dy, const float* weight, const float* bias, float* dx,
                                  float* workspace) {
  const bool covered = g.kernel == g.stride && g.height == g.out_height * g.stride && g.width == g.out_width * g.stride;
  if (!covered) {
    launch::for_each_row(g.n * g.height * g.width, g.in, [=](Index pixel) {
      for (Index i = 0; i < g.in; ++i) dx[pixel * g.in + i] = bias != nullptr ? bias[i] : 0.0f;
    });
  }
  if (is_narrow(g)) {
    narrow_data_gradient(g, dy, weight, bias, dx, workspace);
  } else {
    wide_data_gradient(g, dy, weight, bias, dx, workspace);
  }
}

// Vectors run along the channels; a narrow result is summed over them instead.
DERMATOME_HD bool fits_data_gradient_product(const Geometry& g) {
  const bool apart = g.kernel <= g.stride && g.pad == 0;
  return apart && (g.in % 16 == 0 || is_narrow(g));
}

// --- weight gradient: gathered windows times output gradients, summed over pixels ---

constexpr Index kSumPixels = 96;  // whose output gradients of a panel lie in the first cache

struct WeightGradientLayout {
  Index pixels, piece;     // pixels gathered at a time; rows of a unit of work
  Index gathered, totals;  // floats
};

inline WeightGradientLayout weight_gradient_layout(const Geometry& g) {
  constexpr Index kCache = 128 * 1024;  // floats
  const Index depth = depth_of(g);
  WeightGradientLayout layout{};
  layout.pixels = least(1152, most(kSumPixels, kCache / (depth + g.out) / kSumPixels * kSumPixels));
  layout.piece = 48;
  while (layout.piece > 6 &&
         ceil_divide(depth, layout.piece) * ceil_divide(g.out, kPanel) < 4 * omp_get_max_threads()) {
    layout.piece /= 2;
  }
  layout.gathered = one_pixel_window(g) ? 0 : layout.pixels * depth;
  layout.totals = depth * g.out;
  return layout;
}

inline Index weight_gradient_product_workspace(const Geometry& g) {
  const WeightGradientLayout layout = weight_gradient_layout(g);
  return (layout.gathered + layout.totals) * 4;
}

// dweight[o, i, tap] from totals[(tap * in + i) * out + o]; `part` as in pack_forward.
DERMATOME_HD void unpack_weight_gradient(const Geometry& g, const float* totals, Index part, float* dweight) {
  const Index taps = taps_of(g);
  const Index depth = depth_of(g);
  const Index begin = part * kLanes;
  const int count = static_cast<int>(least(kLanes, depth - begin));
  for (Index column = 0; column < g.out; column += kLanes) {
    Vec rows[kLanes] = {};
    for (int j = 0; j < count; ++j) {
      const Index k = (begin + j) % taps * g.in + (begin + j) / taps;
      rows[j] = launch::load(totals + k * g.out + column);
    }
    launch::transpose(rows);
    for (int lane = 0; lane < kLanes; ++lane) {
      launch::store_first(dweight + (column + lane) * depth + begin, count, rows[lane]);
    }
  }
}

inline void weight_gradient_product(const Geometry& g, const float* x, const float* dy, float* dweight,
                                    float* workspace) {
  const WeightGradientLayout layout = weight_gradient_layout(g);
  const Index depth = depth_of(g);
  const Index pieces = ceil_divide(depth, layout.piece);
  const Index panels = ceil_divide(g.out, kPanel);
  float* gathered = workspace;
  float* totals = workspace + layout.gathered;
  launch::in_team(true, [&] {
    for (Index first = 0; first < pixels_of(g); first += layout.pixels) {
      const Index count = least(layout.pixels, pixels_of(g) - first);
      if (!one_pixel_window(g)) {
#pragma omp for schedule(static)
        for (Index p = 0; p < count; ++p) gather_windows(g, x, first + p, 1, gathered + p * depth, depth);
      }
      const float* a = one_pixel_window(g) ? x + first * g.in : gathered;
#pragma omp for schedule(static)
      for (Index unit = 0; unit < pieces * panels; ++unit) {
        const Index row = unit / panels * layout.piece;
        const Index column = unit % panels * kPanel;
        for (Index p = 0; p < count; p += kSumPixels) {
          launch::multiply_panel({.a = a + p * depth + row,
                                  .a_row = 1,
                                  .a_step = depth,
                                  .b = dy + (first + p) * g.out + column,
                                  .b_row = g.out,
                                  .c = totals + row * g.out + column,
                                  .c_row = g.out,
                                  .depth = least(kSumPixels, count - p),
                                  .accumulate = first + p > 0},
                                 least(layout.piece, depth - row), least(kPanel, g.out - column));
        }
      }
    }
#pragma omp for schedule(static)
    for (Index part = 0; part < ceil_divide(depth, kLanes); ++part) unpack_weight_gradient(g, totals, part, dweight);
  });
}

// dbias[c]: the sum of dy over all pixels.
template <typename T>
inline void bias_gradient(const T* dy, Index pixels, Index channels, float* workspace, float* dbias) {
  launch::reduce_channels<float, 1>(
      pixels, channels, workspace,
      [=](Index row, Index c, float* terms) { terms[0] = launch::load(dy[row * channels + c]); },
      [=](Index c, const double* sums) { dbias[c] = static_cast<float>(sums[0]); });
}
inline Index bias_gradient_workspace(Index pixels, Index channels) {
  return launch::reduce_channels_workspace<float, 1>(pixels, channels);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::conv2d

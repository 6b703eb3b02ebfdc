// Tiles of a 3x3 convolution of stride 1 for Winograd's F(4x4, 3x3): where they lie, and the transforms of inputs,
// outputs, kernels and their gradients between a tensor's layout and that of the 36 products.
#pragma once

#include "kernels/conv2d/product.h"
#include "kernels/conv2d/winograd.h"

namespace dermatome::conv2d {
inline namespace DERMATOME_ISA {

using namespace winograd;

using launch::Bfloat16;
using launch::kTerms;

constexpr Index kTaps = 9;
constexpr Index kLargeKernels = 192 * 192;  // from here kernels may weigh more than the tiles

inline Index thread_count() {
  return omp_get_max_threads();
}

// A convolution of stride 1 as tiles of 4 x 4 outputs: `in` channels are summed over, `out` are produced.
struct Tiling {
  Index n, height, width, in, out_height, out_width, out, pad;
  Index rows, columns;  // of tiles in an image
  Index tiles;

  // Origin of a tile in the output.
  struct Place {
    Index image, y, x;
  };
  DERMATOME_HD Place place(Index tile) const {
    const Index in_image = tile % (rows * columns);
    return {tile / (rows * columns), in_image / columns * kOutput, in_image % columns * kOutput};
  }
};

inline Tiling tiling(Index n, Index height, Index width, Index in, Index out, Index pad) {
  const Index out_height = height + 2 * pad - 2;
  const Index out_width = width + 2 * pad - 2;
  const Index rows = ceil_divide(out_height, kOutput);
  const Index columns = ceil_divide(out_width, kOutput);
  return {n, height, width, in, out_height, out_width, out, pad, rows, columns, n * rows * columns};
}

// The pixels under a window, side x side of them, from (y, x) of an image; those outside point at zeros.
template <int Side, typename T>
DERMATOME_HD void pixels_at(const T* image, Index height, Index width, Index channels, Index y, Index x, const T* zeros,
                            const T** pixels) {
  for (Index r = 0; r < Side; ++r) {
    for (Index c = 0; c < Side; ++c) {
      const bool inside = y + r >= 0 && y + r < height && x + c >= 0 && x + c < width;
      pixels[r * Side + c] = inside ? image + ((y + r) * width + x + c) * channels : zeros;
    }
  }
}

// A tile at the points, for kLanes channels from `channel` on: store(point, value) for each.
template <typename T, typename Store>
DERMATOME_HD void input_at_points(const T* const* pixels, Index channel, const Store& store) {
  Vec half[kPoints];
  for (int c = 0; c < kInput; ++c) {
    Vec column[kInput];
#pragma GCC unroll 6
    for (int r = 0; r < kInput; ++r) column[r] = launch::load(pixels[r * kInput + c] + channel);
    transform_input(column, 1, half + c, kInput);
  }
  for (int r = 0; r < kInput; ++r) {
    Vec row[kInput];
    transform_input(half + r * kInput, 1, row, 1);
#pragma GCC unroll 6
    for (int c = 0; c < kInput; ++c) store(r * kInput + c, row[c]);
  }
}
template <typename T, typename Store>
DERMATOME_HD void output_gradient_at_points(const T* const* pixels, Index channel, const Store& store) {
  Vec half[kInput * kOutput];
  for (int c = 0; c < kOutput; ++c) {
    Vec column[kOutput];
#pragma GCC unroll 4
    for (int r = 0; r < kOutput; ++r) column[r] = launch::load(pixels[r * kOutput + c] + channel);
    transform_output_gradient(column, 1, half + c, kOutput);
  }
  for (int r = 0; r < kInput; ++r) {
    Vec row[kInput];
    transform_output_gradient(half + r * kOutput, 1, row, 1);
#pragma GCC unroll 6
    for (int c = 0; c < kInput; ++c) store(r * kInput + c, row[c]);
  }
}

// Rounds values at the points to bf16 and stores them beside those that `first` holds of the other term of each pair.
struct PairStore {
  const Vec* first;
  Bfloat16* to;
  Index stride;

  DERMATOME_HD void operator()(Index point, Vec value) const {
    launch::store_pairs(to + point * stride, launch::round_pairs(first[point], value));
  }
};

template <typename T>
DERMATOME_HD void input_pixels(const Tiling& t, const T* x, const T* zeros, Index tile, const T** pixels) {
  const auto place = t.place(tile);
  pixels_at<kInput>(x + place.image * t.height * t.width * t.in, t.height, t.width, t.in, place.y - t.pad,
                    place.x - t.pad, zeros, pixels);
}
template <typename T>
DERMATOME_HD void output_gradient_pixels(const Tiling& t, const T* dy, const T* zeros, Index tile, const T** pixels) {
  const auto place = t.place(tile);
  pixels_at<kOutput>(dy + place.image * t.out_height * t.out_width * t.out, t.out_height, t.out_width, t.out, place.y,
                     place.x, zeros, pixels);
}

// v[point * stride + channel] of one tile of the input; in bf16 rounded at the points.
template <typename T, typename To>
DERMATOME_HD void transform_input_tile(const Tiling& t, const T* x, const T* zeros, Index tile, To* v, Index stride) {
  const T* pixels[kPoints];
  input_pixels(t, x, zeros, tile, pixels);
  for (Index channel = 0; channel < t.in; channel += kLanes) {
    To* to = v + channel;
    input_at_points(pixels, channel, [=](Index point, Vec value) { launch::store(to + point * stride, value); });
  }
}

// The gradient of one tile of outputs at the points: dm[point * stride + channel].
template <typename T, typename To>
DERMATOME_HD void transform_output_gradient_tile(const Tiling& t, const T* dy, const T* zeros, Index tile, To* dm,
                                                 Index stride) {
  const T* pixels[kOutput * kOutput];
  output_gradient_pixels(t, dy, zeros, tile, pixels);
  for (Index channel = 0; channel < t.out; channel += kLanes) {
    To* to = dm + channel;
    output_gradient_at_points(pixels, channel,
                              [=](Index point, Vec value) { launch::store(to + point * stride, value); });
  }
}

// Writes channels [first, first + count) of one tile of outputs from m[point * stride + channel - first].
template <typename T, typename Finish>
DERMATOME_HD void transform_output_tile(const Tiling& t, const float* m, Index stride, Index first, Index count,
                                        const Finish& finish, Index tile, T* y) {
  const auto place = t.place(tile);
  const Index rows = least(kOutput, t.out_height - place.y);
  const Index columns = least(kOutput, t.out_width - place.x);
  const Index corner = ((place.image * t.out_height + place.y) * t.out_width + place.x) * t.out + first;
  for (Index channel = 0; channel < count; channel += kLanes) {
    Vec half[kOutput * kInput];
    for (int c = 0; c < kInput; ++c) {
      Vec column[kInput];
#pragma GCC unroll 6
      for (int r = 0; r < kInput; ++r) column[r] = launch::load(m + (r * kInput + c) * stride + channel);
      transform_output(column, 1, half + c, kInput);
    }
    const auto channels = finish.at(first + channel);
    for (Index r = 0; r < rows; ++r) {
      Vec row[kOutput];
      transform_output(half + r * kInput, 1, row, 1);
      for (Index c = 0; c < columns; ++c) {
        const Index element = corner + (r * t.out_width + c) * t.out + channel;
        launch::store(y + element, channels(row[c], element));
      }
    }
  }
}

// One kernel for each lane, at the points: store(point, value).
template <typename Store>
DERMATOME_HD void kernels_at_points(const Vec* taps, const Store& store) {
  Vec half[kInput * 3];
#pragma GCC unroll 3
  for (int c = 0; c < 3; ++c) transform_kernel(taps + c, 3, half + c, 3);
  for (int r = 0; r < kInput; ++r) {
    Vec row[kInput];
    transform_kernel(half + r * 3, 1, row, 1);
#pragma GCC unroll 6
    for (int c = 0; c < kInput; ++c) store(r * kInput + c, row[c]);
  }
}

// Kernels as the products want them, u[point * stride + (k - first_k) * width + column], from weights OIHW. Lanes are
// output channels, which lie far apart: kLanes kernels of as many of them are turned over in registers.
DERMATOME_HD void transform_kernels(const Tiling& t, const float* weight, Index first_k, Index last_k,
                                    Index first_column, Index width, float* u, Index stride) {
  for (Index column = 0; column < width; column += kLanes) {
    for (Index k = first_k; k < last_k; k += kLanes) {
      const float* from = weight + ((first_column + column) * t.in + k) * kTaps;
      Vec taps[kLanes * kTaps];
      for (int part = 0; part < kTaps; ++part) {
        Vec rows[kLanes];
        for (int lane = 0; lane < kLanes; ++lane) rows[lane] = launch::load(from + lane * t.in * kTaps + part * kLanes);
        launch::transpose(rows);
        for (int lane = 0; lane < kLanes; ++lane) taps[part * kLanes + lane] = rows[lane];
      }
      for (int lane = 0; lane < kLanes; ++lane) {
        float* to = u + (k + lane - first_k) * width + column;
        kernels_at_points(taps + lane * kTaps, [=](Index p, Vec value) { launch::store(to + p * stride, value); });
      }
    }
  }
}

// kLanes kernels that lie one behind the other, turned half round: lanes are kernels.
DERMATOME_HD void load_turned_kernels(const float* from, Vec* taps) {
  constexpr int kFirst = kTaps < kLanes ? kTaps : kLanes;
  for (int begin = 0; begin < kTaps; begin += kLanes) {
    Vec rows[kLanes];
    const int count = kTaps - begin < kFirst ? kTaps - begin : kFirst;
    for (int lane = 0; lane < kLanes; ++lane) rows[lane] = launch::load_first(from + lane * kTaps + begin, count);
    launch::transpose(rows);
    for (int tap = 0; tap < count; ++tap) taps[kTaps - 1 - begin - tap] = rows[tap];
  }
}

// Asks for kLanes kernels that lie one behind the other: rows of kernels lie too far apart for the processor to foresee
// them, and one row alone is less than memory could have on its way.
DERMATOME_HD void prefetch_kernels(const float* from) {
  constexpr Index kCacheLine = 16;  // floats
  for (Index at = 0; at < kLanes * kTaps; at += kCacheLine) __builtin_prefetch(from + at);
}

// The same for the data gradient: a convolution by the kernels turned half round, with the channels' parts exchanged.
// Lanes are the weights' input channels. In bf16 two k lie side by side.
DERMATOME_HD void transform_turned_kernels(const Tiling& t, const float* weight, Index first_k, Index last_k,
                                           Index first_column, Index width, float* u, Index stride) {
  for (Index k = first_k; k < last_k; ++k) {
    for (Index column = 0; column < width; column += kLanes) {
      const float* from = weight + (k * t.out + first_column + column) * kTaps;
      prefetch_kernels(from + t.out * kTaps);
      Vec taps[kTaps];
      load_turned_kernels(from, taps);
      float* to = u + (k - first_k) * width + column;
      kernels_at_points(taps, [=](Index p, Vec value) { launch::store(to + p * stride, value); });
    }
  }
}
DERMATOME_HD void transform_turned_kernels(const Tiling& t, const float* weight, Index first_k, Index last_k,
                                           Index first_column, Index width, Bfloat16* u, Index stride) {
  for (Index k = first_k; k < last_k; k += 2) {
    for (Index column = 0; column < width; column += kLanes) {
      const float* from = weight + (k * t.out + first_column + column) * kTaps;
      prefetch_kernels(from + 2 * t.out * kTaps);
      prefetch_kernels(from + 3 * t.out * kTaps);
      Vec taps[kTaps];
      Vec points[kPoints];
      load_turned_kernels(from, taps);
      kernels_at_points(taps, [&](Index p, Vec value) { points[p] = value; });
      load_turned_kernels(from + t.out * kTaps, taps);
      kernels_at_points(taps, PairStore{points, u + (k - first_k) * width + 2 * column, stride});
    }
  }
}

template <bool kTurned, typename F>
DERMATOME_HD void transform_kernels_as(const Tiling& t, const float* weight, Index first_k, Index last_k,
                                       Index first_column, Index width, F* u, Index stride) {
  if constexpr (kTurned) {
    transform_turned_kernels(t, weight, first_k, last_k, first_column, width, u, stride);
  } else {
    transform_kernels(t, weight, first_k, last_k, first_column, width, u, stride);
  }
}

// Elements of a factor, a length that is no multiple of 4 KiB: the 36 points of an element must not fall into one set
// of a cache.
template <typename F = float>
inline Index point_stride(Index elements) {
  return elements + kLanes * kTerms<F>;
}

// Floats that hold `count` elements.
template <typename F>
inline Index floats_of(Index count) {
  return ceil_divide(count, kTerms<F>);
}

// FLOP of each transform, for one channel of a tile or for one kernel: as many of winograd.h's transforms as the tile
// has columns before it and rows behind it.
constexpr double kInputFlops = (kInput + kInput) * 24;
constexpr double kOutputFlops = (kInput + kOutput) * 16;
constexpr double kOutputGradientFlops = (kOutput + kInput) * 16;
constexpr double kKernelFlops = (3 + kInput) * 15;
constexpr double kKernelGradientFlops = (kInput + 3) * 16;

// The products at the points over `tiles` tiles, those at the border as if they were whole.
inline double product_flops(const Tiling& t, Index tiles) {
  return 2.0 * kPoints * static_cast<double>(tiles) * static_cast<double>(t.in * t.out);
}

template <typename F>
constexpr DType factor_type() {
  return kTerms<F> == 1 ? DType::f32 : DType::bf16;
}

// Vectors run along channels; a tile more than half empty would cost more than it saves.
inline bool fits_winograd(const Geometry& g) {
  return g.kernel == 3 && g.stride == 1 && g.pad <= 2 && g.in % 16 == 0 && g.out % 16 == 0 &&
         g.out_height >= kOutput - 1 && g.out_width >= kOutput - 1;
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::conv2d

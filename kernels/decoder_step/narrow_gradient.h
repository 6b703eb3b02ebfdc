// The gradients of a decoder step of few output channels: no product worth the name, but two passes over x, one for the
// sums over pixels and one for dx. Vectors run along x's channels; all of y's channels belong to the step.
#pragma once

#include <type_traits>

#include "kernels/decoder_step/products.h"

namespace dermatome::decoder_step {
inline namespace DERMATOME_ISA {

// How x was normalised, and dx = dy_factor * (gradient of what was convolved) + x_factor * x + constant.
struct Factors {
  float *mean, *inverse, *dy_factor, *x_factor, *constant;
};

DERMATOME_HD Vec normalised_at(const float* mean, const float* inverse, Vec x) {
  return (x - launch::load(mean)) * launch::load(inverse);
}

constexpr Index kNarrowPiece = 32;   // pixels whose windows of dy are gathered at a time
constexpr Index kNarrowColumns = 4;  // columns (a tap and an output channel) at a time
constexpr Index kNarrowRows = 8;     // of a chunk
constexpr Index kNarrowVectors = 2;  // of channels at a time: with as many columns as above, sums that fit registers

DERMATOME_HD Index narrow_chunks(const Sizes& s) {
  return least(launch::kMostChunks, ceil_divide(s.n * s.height, kNarrowRows));
}

// dy under `count` pixels of a row of x from `first` on: to[p * columns + tap * out + o].
template <typename T>
DERMATOME_HD void gather_narrow(const Sizes& s, const T* dy, Index row, Index first, Index count, float* to) {
  const Index columns = s.taps() * s.out;
  const Index run = s.kernel * s.out;  // of one line of dy under a pixel
  for (Index ky = 0; ky < s.kernel; ++ky) {
    const T* line = dy + (row * s.kernel + ky) * s.width * run + first * run;
    for (Index p = 0; p < count; ++p) {
      for (Index k = 0; k < run; ++k) to[p * columns + ky * run + k] = launch::load(line[p * run + k]);
    }
  }
}

// What the next piece reads of these channels: its pixels lie too far apart for the processor to guess.
template <typename T>
DERMATOME_HD void prefetch_next(const T* x, Index in) {
  __builtin_prefetch(x + kNarrowPiece * in);
}

// sums[column * in + channel] += dy under that column times x normalised, over `count` pixels.
template <Index kColumns, Index kVectors, typename T>
DERMATOME_HD void add_narrow(const T* x, Index in, const float* windows, Index columns, Index count, const float* mean,
                             const float* inverse, float* sums) {
  Vec sum[kColumns * kVectors] = {};
  for (Index p = 0; p < count; ++p) {
    prefetch_next(x + p * in, in);
    Vec value[kVectors];
    for (Index v = 0; v < kVectors; ++v) {
      value[v] = normalised_at(mean + v * kLanes, inverse + v * kLanes, launch::load(x + p * in + v * kLanes));
    }
    for (Index c = 0; c < kColumns; ++c) {
      const Vec by = launch::broadcast(windows[p * columns + c]);
      for (Index v = 0; v < kVectors; ++v) {
        sum[c * kVectors + v] = launch::multiply_add(by, value[v], sum[c * kVectors + v]);
      }
    }
  }
  for (Index c = 0; c < kColumns; ++c) {
    for (Index v = 0; v < kVectors; ++v) {
      float* to = sums + c * in + v * kLanes;
      launch::store(to, launch::load(to) + sum[c * kVectors + v]);
    }
  }
}

// f(columns, vectors) with constants: at most kNarrowColumns, and as many vectors as are left of x's channels.
template <typename F>
DERMATOME_HD void with_block(Index columns, Index channels, const F& f) {
  const auto with_columns = [&](auto vectors) {
    switch (columns) {
      case 1: return f(std::integral_constant<Index, 1>{}, vectors);
      case 2: return f(std::integral_constant<Index, 2>{}, vectors);
      case 3: return f(std::integral_constant<Index, 3>{}, vectors);
      default: return f(std::integral_constant<Index, kNarrowColumns>{}, vectors);
    }
  };
  if (channels >= kNarrowVectors * kLanes) return with_columns(std::integral_constant<Index, kNarrowVectors>{});
  with_columns(std::integral_constant<Index, 1>{});
}

// dweight by the normalised x, [in][out][taps]. `partial`: narrow_chunks() times columns times in. Shared by the team.
template <typename T>
void narrow_weight_gradient(const Sizes& s, const T* dy, const T* x, const Factors& f, float* partial, float* dweight) {
  const Index columns = s.taps() * s.out;
  const Index rows = s.n * s.height;
  const Index chunks = narrow_chunks(s);
#pragma omp for schedule(static)
  for (Index chunk = 0; chunk < chunks; ++chunk) {
    float* sums = partial + chunk * columns * s.in;
    for (Index i = 0; i < columns * s.in; ++i) sums[i] = 0;
    float windows[kNarrowPiece * conv2d::kNarrow];
    for (Index row = rows * chunk / chunks; row < rows * (chunk + 1) / chunks; ++row) {
      for (Index first = 0; first < s.width; first += kNarrowPiece) {
        const Index count = least(kNarrowPiece, s.width - first);
        gather_narrow(s, dy, row, first, count, windows);
        const T* pixels = x + (row * s.width + first) * s.in;
        for (Index i = 0; i < s.in; i += kNarrowVectors * kLanes) {
          for (Index c = 0; c < columns; c += kNarrowColumns) {
            with_block(columns - c, s.in - i, [&](auto of_columns, auto vectors) {
              add_narrow<of_columns, vectors>(pixels + i, s.in, windows + c, columns, count, f.mean + i, f.inverse + i,
                                              sums + c * s.in + i);
            });
          }
        }
      }
    }
  }
#pragma omp for schedule(static)
  for (Index i = 0; i < s.in; ++i) {
    for (Index c = 0; c < columns; ++c) {
      double sum = 0;
      for (Index chunk = 0; chunk < chunks; ++chunk) {
        sum += static_cast<double>(partial[(chunk * columns + c) * s.in + i]);
      }
      dweight[i * columns + c % s.out * s.taps() + c / s.out] = static_cast<float>(sum);
    }
  }
}

// dx of a block of channels. `packed`: weights by column, `in` apart, times their dy_factor. The first kColumns of them
// stay in registers.
template <bool kMasked, Index kColumns, Index kVectors, typename T>
DERMATOME_HD void put_narrow(const float* windows, Index columns, Index count, const float* packed, Index in,
                             const float* x_factor, const float* constant, const T* x, T* dx) {
  Vec weights[kColumns * kVectors];
  for (Index c = 0; c < kColumns; ++c) {
    for (Index v = 0; v < kVectors; ++v) weights[c * kVectors + v] = launch::load(packed + c * in + v * kLanes);
  }
  for (Index p = 0; p < count; ++p) {
    prefetch_next(x + p * in, in);
    for (Index v = 0; v < kVectors; ++v) {
      const Vec value = launch::load(x + p * in + v * kLanes);
      Vec sum = launch::multiply_add(launch::load(x_factor + v * kLanes), value, launch::load(constant + v * kLanes));
      for (Index c = 0; c < kColumns; ++c) {
        sum = launch::multiply_add(launch::broadcast(windows[p * columns + c]), weights[c * kVectors + v], sum);
      }
      for (Index c = kColumns; c < columns; ++c) {
        sum = launch::multiply_add(launch::broadcast(windows[p * columns + c]),
                                   launch::load(packed + c * in + v * kLanes), sum);
      }
      launch::store(dx + p * in + v * kLanes, kMasked ? (value > Vec{} ? sum : Vec{}) : sum);
    }
  }
}

// `weight` [in][out][taps]; `packed`: columns times in. dx may lie in x's place. Shared by the team.
template <bool kMasked, typename T>
void narrow_data_gradient(const Sizes& s, const T* dy, const T* x, const float* weight, const Factors& f, float* packed,
                          T* dx) {
  const Index columns = s.taps() * s.out;
#pragma omp for schedule(static)
  for (Index i = 0; i < s.in; ++i) {
    for (Index c = 0; c < columns; ++c) {
      packed[c * s.in + i] = weight[i * columns + c % s.out * s.taps() + c / s.out] * f.dy_factor[i];
    }
  }
#pragma omp for schedule(static)
  for (Index row = 0; row < s.n * s.height; ++row) {
    float windows[kNarrowPiece * conv2d::kNarrow];
    for (Index first = 0; first < s.width; first += kNarrowPiece) {
      const Index count = least(kNarrowPiece, s.width - first);
      gather_narrow(s, dy, row, first, count, windows);
      const Index at = (row * s.width + first) * s.in;
      for (Index i = 0; i < s.in; i += kNarrowVectors * kLanes) {
        with_block(columns, s.in - i, [&](auto of_columns, auto vectors) {
          put_narrow<kMasked, of_columns, vectors>(windows, columns, count, packed + i, s.in, f.x_factor + i,
                                                   f.constant + i, x + at + i, dx + at + i);
        });
      }
    }
  }
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::decoder_step

// The weight gradient of 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3): 36 products over the tiles, of
// transformed inputs and transformed output gradients. bf16 activations make them products of bf16 factors: what
// rounding at the points does to a weight gradient ends there, no layer behind reads it.
#include "kernels/conv2d/winograd_tiles.h"
#include "kernels/launch/table.h"

namespace dermatome::conv2d {
namespace {

constexpr Index kGradientTiles = 96;  // whose f32 transforms lie in cache at a time where there are many
constexpr Index kGradientRows = 48;   // input channels of a piece

struct GradientLayout {
  bool accumulate;  // all of du is kept and blocks of tiles add to it; else pieces of du, all tiles
  Index tiles, v_stride, d_stride, du_stride;  // of a block or a piece; elements
  Index du, local, zeros;                      // floats
};

template <typename T>
GradientLayout gradient_layout(const Tiling& t) {
  GradientLayout layout{};
  constexpr Index kTiles = kGradientTiles * kTerms<T>;
  layout.accumulate = t.tiles > 2 * kTiles && t.in * t.out < kLargeKernels;
  layout.tiles = layout.accumulate ? kTiles : ceil_divide(t.tiles, kTerms<T>) * kTerms<T>;
  layout.v_stride = point_stride<T>(layout.tiles * t.in);
  layout.d_stride = point_stride<T>(layout.tiles * t.out);
  layout.du_stride = point_stride(layout.accumulate ? t.in * t.out : kGradientRows * kPanel);
  layout.du = layout.accumulate ? kPoints * layout.du_stride : 0;
  layout.local = layout.accumulate ? 0 : kPoints * layout.du_stride;
  layout.zeros = most(t.in, t.out);
  return layout;
}

// Whether rows of kernels may be written past the caches, which hold nothing of a large gradient by the time that it is
// read: then no line is read to be overwritten.
bool streams(const Tiling& t, const float* dweight) {
  return t.in * t.out >= kLargeKernels && reinterpret_cast<std::uintptr_t>(dweight) % sizeof(Vec) == 0;
}

// dweight[o, i, :, :] for input channels [first_row, first_row + rows) and output channels [first_column, + columns),
// from du[point * stride + row * row_stride + column].
template <bool kStreams>
DERMATOME_HD void write_kernel_gradients(const Tiling& t, const float* du, Index stride, Index row_stride,
                                         Index first_row, Index rows, Index first_column, Index columns,
                                         float* dweight) {
  for (Index row = 0; row < rows; row += kLanes) {
    for (Index column = 0; column < columns; column += kLanes) {
      Vec taps[kLanes * kTaps];
      for (int lane = 0; lane < kLanes; ++lane) {
        const float* from = du + (row + lane) * row_stride + column;
        Vec half[3 * kInput];
        for (int c = 0; c < kInput; ++c) {
          Vec points[kInput];
#pragma GCC unroll 6
          for (int r = 0; r < kInput; ++r) points[r] = launch::load(from + (r * kInput + c) * stride);
          transform_kernel_gradient(points, 1, half + c, kInput);
        }
        for (int r = 0; r < 3; ++r) transform_kernel_gradient(half + r * kInput, 1, taps + lane * kTaps + r * 3, 1);
      }
      float* to = dweight + ((first_column + column) * t.in + first_row + row) * kTaps;
      for (int part = 0; part < kTaps; ++part) {
        Vec lines[kLanes];
        for (int lane = 0; lane < kLanes; ++lane) lines[lane] = taps[part * kLanes + lane];
        launch::transpose(lines);
        for (int lane = 0; lane < kLanes; ++lane) {
          float* line = to + lane * t.in * kTaps + part * kLanes;
          kStreams ? launch::stream(line, lines[lane]) : launch::store(line, lines[lane]);
        }
      }
    }
  }
}

// Tiles [first, first + count) at the points, as factors of a sum over tiles: v[point * stride + (tile - first) * in +
// channel].
void transform_tiles(const Tiling& t, const float* x, const float* dy, const float* zeros, Index first, Index count,
                     const GradientLayout& layout, float* v, float* d) {
#pragma omp for schedule(static)
  for (Index i = 0; i < count; ++i) {
    transform_input_tile(t, x, zeros, first + i, v + i * t.in, layout.v_stride);
    transform_output_gradient_tile(t, dy, zeros, first + i, d + i * t.out, layout.d_stride);
  }
}

// In bf16 two tiles lie side by side: v[point * stride + (tile - first) / 2 * 2 * in + 2 * channel]; an odd last one
// has zeros beside it.
void transform_tiles(const Tiling& t, const Bfloat16* x, const Bfloat16* dy, const Bfloat16* zeros, Index first,
                     Index count, const GradientLayout& layout, Bfloat16* v, Bfloat16* d) {
#pragma omp for schedule(static)
  for (Index i = 0; i < count; i += 2) {
    const bool alone = i + 1 == count;
    Vec points[kPoints];
    const auto keep = [&](Index point, Vec value) { points[point] = value; };
    const Bfloat16* pixels[2][kPoints];
    for (Index k = 0; k < 2; ++k) input_pixels(t, x, zeros, first + i + (alone ? 0 : k), pixels[k]);
    for (Index channel = 0; channel < t.in; channel += kLanes) {
      const PairStore store{points, v + i * t.in + 2 * channel, layout.v_stride};
      input_at_points(pixels[0], channel, keep);
      if (alone) {
        for (Index point = 0; point < kPoints; ++point) store(point, Vec{});
      } else {
        input_at_points(pixels[1], channel, store);
      }
    }
    for (Index k = 0; k < 2; ++k) output_gradient_pixels(t, dy, zeros, first + i + (alone ? 0 : k), pixels[k]);
    for (Index channel = 0; channel < t.out; channel += kLanes) {
      output_gradient_at_points(pixels[0], channel, keep);
      output_gradient_at_points(pixels[1], channel, PairStore{points, d + i * t.out + 2 * channel, layout.d_stride});
    }
  }
}

template <typename T>
void weight_gradient(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const Tiling t = tiling(g.n, g.height, g.width, g.in, g.out, g.pad);
  const GradientLayout layout = gradient_layout<T>(t);
  const T* x = launch::in<T>(call, 0);
  const T* dy = launch::in<T>(call, 1);
  float* dweight = launch::out<float>(call, 0);
  auto* zeros = static_cast<float*>(call.workspace);
  auto* v = reinterpret_cast<T*>(zeros + layout.zeros);
  T* d = v + kPoints * layout.v_stride;
  float* du = zeros + layout.zeros + floats_of<T>(kPoints * (layout.v_stride + layout.d_stride));
  float* locals = du + layout.du;
  if (float* dbias = launch::out<float>(call, 1); dbias != nullptr) {
    bias_gradient(dy, t.n * t.out_height * t.out_width, t.out, zeros, dbias);
  }
  for (Index c = 0; c < layout.zeros; ++c) zeros[c] = 0;
  const T* outside = reinterpret_cast<const T*>(zeros);
  const Index row_pieces = ceil_divide(t.in, kGradientRows);
  const Index column_pieces = ceil_divide(t.out, kPanel);
  launch::in_team(true, [&] {
    const Tiling mine = t;
    float* local = locals + omp_get_thread_num() * layout.local;
    const auto multiply = [&](Index point, Index row, Index rows, Index column, Index columns, Index tiles, float* to,
                              Index to_row, bool accumulate) {
      const launch::ProductOf<T> product{.a = v + point * layout.v_stride + row * kTerms<T>,
                                         .a_row = kTerms<T>,
                                         .a_step = mine.in * kTerms<T>,
                                         .b = d + point * layout.d_stride + column * kTerms<T>,
                                         .b_row = mine.out * kTerms<T>,
                                         .c = to,
                                         .c_row = to_row,
                                         .depth = ceil_divide(tiles, kTerms<T>),
                                         .accumulate = accumulate};
      launch::multiply_columns(product, rows, columns, launch::Unchanged{});
    };
    for (Index first = 0; first < mine.tiles; first += layout.tiles) {
      const Index count = least(layout.tiles, mine.tiles - first);
      transform_tiles(mine, x, dy, outside, first, count, layout, v, d);
      if (!layout.accumulate) continue;
#pragma omp for schedule(static)
      for (Index unit = 0; unit < kPoints * row_pieces; ++unit) {
        const Index point = unit / row_pieces;
        const Index row = unit % row_pieces * kGradientRows;
        for (Index column = 0; column < mine.out; column += kPanel) {
          multiply(point, row, least(kGradientRows, mine.in - row), column, least(kPanel, mine.out - column), count,
                   du + point * layout.du_stride + row * mine.out + column, mine.out, first > 0);
        }
      }
    }
#pragma omp for schedule(static)
    for (Index unit = 0; unit < row_pieces * column_pieces; ++unit) {
      const Index row = unit / column_pieces * kGradientRows;
      const Index column = unit % column_pieces * kPanel;
      const Index rows = least(kGradientRows, mine.in - row);
      const Index columns = least(kPanel, mine.out - column);
      const auto write = [&](const float* from, Index row_stride) {
        if (streams(mine, dweight)) {
          write_kernel_gradients<true>(mine, from, layout.du_stride, row_stride, row, rows, column, columns, dweight);
          launch::end_of_streams();
        } else {
          write_kernel_gradients<false>(mine, from, layout.du_stride, row_stride, row, rows, column, columns, dweight);
        }
      };
      if (layout.accumulate) {
        write(du + row * mine.out + column, mine.out);
        continue;
      }
      for (Index point = 0; point < kPoints; ++point) {
        multiply(point, row, rows, column, columns, mine.tiles, local + point * layout.du_stride, columns, false);
      }
      write(local, columns);
    }
  });
}

template <typename T>
Index weight_gradient_workspace(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const Tiling t = tiling(g.n, g.height, g.width, g.in, g.out, g.pad);
  const GradientLayout layout = gradient_layout<T>(t);
  const Index transforms = floats_of<T>(kPoints * (layout.v_stride + layout.d_stride));
  const Index bytes = (layout.zeros + transforms + layout.du + thread_count() * layout.local) * 4;
  const bool bias = call.outputs[1].data != nullptr;
  return most(bytes, bias ? bias_gradient_workspace(t.n * t.out_height * t.out_width, t.out) : 0);
}

template <typename T>
Work weight_gradient_work(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const Tiling t = tiling(g.n, g.height, g.width, g.in, g.out, g.pad);
  const GradientLayout layout = gradient_layout<T>(t);
  const auto tiles = static_cast<double>(t.tiles);
  const auto in = static_cast<double>(t.in);
  const auto out = static_cast<double>(t.out);
  // Blocks of tiles stay in cache, so only their sum counts; without blocks all transforms are written and read.
  const Index kept = layout.accumulate ? layout.du : floats_of<T>(kPoints * (layout.v_stride + layout.d_stride));
  return {.flops = product_flops(t, ceil_divide(t.tiles, kTerms<T>) * kTerms<T>) +
                   tiles * (kInputFlops * in + kOutputGradientFlops * out) + kKernelGradientFlops * in * out,
          .workspace_bytes = 2 * 4 * static_cast<double>(kept),
          .factors = factor_type<T>()};
}

bool fits_weight_gradient(const Call& call) {
  return call.outputs[0].data != nullptr && fits_winograd(weight_gradient_geometry(call));
}

}  // namespace
}  // namespace dermatome::conv2d

DERMATOME_CPU_TABLE(conv2d_winograd_weight_gradient,
                    {"conv2d_weight_gradient", DType::f32, conv2d::weight_gradient<float>,
                     conv2d::weight_gradient_workspace<float>, conv2d::fits_weight_gradient, false,
                     conv2d::weight_gradient_work<float>},
                    {"conv2d_weight_gradient", DType::bf16, conv2d::weight_gradient<launch::Bfloat16>,
                     conv2d::weight_gradient_workspace<launch::Bfloat16>, conv2d::fits_weight_gradient, true,
                     conv2d::weight_gradient_work<launch::Bfloat16>})

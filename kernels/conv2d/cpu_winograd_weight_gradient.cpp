// The weight gradient of 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3): 36 products over the tiles, of
// transformed inputs and transformed output gradients.
#include "kernels/conv2d/winograd_tiles.h"
#include "kernels/launch/processor.h"
#include "kernels/launch/table.h"

namespace dermatome::conv2d {
namespace {

constexpr Index kGradientTiles = 96;  // whose transforms lie in cache at a time where there are many
constexpr Index kGradientRows = 48;   // input channels of a piece

struct GradientLayout {
  bool accumulate;                  // all of du is kept and blocks of tiles add to it; else pieces of du, all tiles
  Index tiles, v_stride, d_stride;  // of a block
  Index du, local, zeros;           // floats
};

GradientLayout gradient_layout(const Tiling& t) {
  GradientLayout layout{};
  layout.accumulate = t.tiles > 2 * kGradientTiles && t.in * t.out < kLargeKernels;
  layout.tiles = layout.accumulate ? kGradientTiles : t.tiles;
  layout.v_stride = point_stride(layout.tiles * t.in);
  layout.d_stride = point_stride(layout.tiles * t.out);
  layout.du = layout.accumulate ? kPoints * t.in * t.out : 0;
  layout.local = layout.accumulate ? 0 : kPoints * kGradientRows * kPanel;
  layout.zeros = most(t.in, t.out);
  return layout;
}

// dweight[o, i, :, :] for input channels [first_row, first_row + rows) and output channels [first_column, + columns),
// from du[point * stride + row * row_stride + column].
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
        for (int lane = 0; lane < kLanes; ++lane) launch::store(to + lane * t.in * kTaps + part * kLanes, lines[lane]);
      }
    }
  }
}

template <typename T>
void weight_gradient(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const Tiling t = tiling(g.n, g.height, g.width, g.in, g.out, g.pad);
  const GradientLayout layout = gradient_layout(t);
  const T* x = launch::in<T>(call, 0);
  const T* dy = launch::in<T>(call, 1);
  float* dweight = launch::out<float>(call, 0);
  auto* zeros = static_cast<float*>(call.workspace);
  float* v = zeros + layout.zeros;
  float* d = v + kPoints * layout.v_stride;
  float* du = d + kPoints * layout.d_stride;
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
      launch::multiply_panel({.a = v + point * layout.v_stride + row,
                              .a_row = 1,
                              .a_step = mine.in,
                              .b = d + point * layout.d_stride + column,
                              .b_row = mine.out,
                              .c = to,
                              .c_row = to_row,
                              .depth = tiles,
                              .accumulate = accumulate},
                             rows, columns);
    };
    for (Index first = 0; first < mine.tiles; first += layout.tiles) {
      const Index count = least(layout.tiles, mine.tiles - first);
#pragma omp for schedule(static)
      for (Index i = 0; i < count; ++i) {
        transform_input_tile(mine, x, outside, first + i, v + i * mine.in, layout.v_stride);
        transform_output_gradient_tile(mine, dy, outside, first + i, d + i * mine.out, layout.d_stride);
      }
      if (!layout.accumulate) continue;
#pragma omp for schedule(static)
      for (Index unit = 0; unit < kPoints * row_pieces; ++unit) {
        const Index point = unit / row_pieces;
        const Index row = unit % row_pieces * kGradientRows;
        for (Index column = 0; column < mine.out; column += kPanel) {
          multiply(point, row, least(kGradientRows, mine.in - row), column, least(kPanel, mine.out - column), count,
                   du + (point * mine.in + row) * mine.out + column, mine.out, first > 0);
        }
      }
    }
#pragma omp for schedule(static)
    for (Index unit = 0; unit < row_pieces * column_pieces; ++unit) {
      const Index row = unit / column_pieces * kGradientRows;
      const Index column = unit % column_pieces * kPanel;
      const Index rows = least(kGradientRows, mine.in - row);
      const Index columns = least(kPanel, mine.out - column);
      if (layout.accumulate) {
        write_kernel_gradients(mine, du + row * mine.out + column, mine.in * mine.out, mine.out, row, rows, column,
                               columns, dweight);
        continue;
      }
      for (Index point = 0; point < kPoints; ++point) {
        multiply(point, row, rows, column, columns, mine.tiles, local + point * rows * columns, columns, false);
      }
      write_kernel_gradients(mine, local, rows * columns, columns, row, rows, column, columns, dweight);
    }
  });
}

Index weight_gradient_workspace(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const Tiling t = tiling(g.n, g.height, g.width, g.in, g.out, g.pad);
  const GradientLayout layout = gradient_layout(t);
  const Index bytes =
      (layout.zeros + kPoints * (layout.v_stride + layout.d_stride) + layout.du + thread_count() * layout.local) * 4;
  const bool bias = call.outputs[1].data != nullptr;
  return most(bytes, bias ? bias_gradient_workspace(t.n * t.out_height * t.out_width, t.out) : 0);
}

bool fits_weight_gradient(const Call& call) {
  return call.outputs[0].data != nullptr && fits_winograd(weight_gradient_geometry(call));
}

bool fits_weight_gradient_in_bf16(const Call& call) {
  return !launch::has_bf16_matrix_unit() && fits_weight_gradient(call);
}

}  // namespace
}  // namespace dermatome::conv2d

DERMATOME_CPU_TABLE(conv2d_winograd_weight_gradient,
                    {"conv2d_weight_gradient", DType::f32, conv2d::weight_gradient<float>,
                     conv2d::weight_gradient_workspace, conv2d::fits_weight_gradient},
                    {"conv2d_weight_gradient", DType::bf16, conv2d::weight_gradient<launch::Bfloat16>,
                     conv2d::weight_gradient_workspace, conv2d::fits_weight_gradient_in_bf16, true})

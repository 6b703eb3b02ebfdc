// 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3): forward, data gradient and weight gradient, a quarter of the
// direct arithmetic. Transform, 36 matrix products, transform back; nothing but workspace lies in between, and it stays
// in cache: tiles are taken in blocks, or, where the kernels outweigh the tiles, output channels are taken in panels.
#include "kernels/conv2d/product.h"
#include "kernels/conv2d/winograd.h"
#include "kernels/launch/processor.h"
#include "kernels/launch/table.h"

namespace dermatome::conv2d {
namespace {

using namespace winograd;

constexpr Index kTaps = 9;
constexpr Index kBlockTiles = 30;  // of which a thread keeps the transforms in its cache; a multiple of kBlockRows
constexpr Index kFewTiles = 128;   // up to here kernels of kLargeKernels weigh more than the tiles
constexpr Index kLargeKernels = 192 * 192;
constexpr Index kPanelDepth = 64;  // input channels whose transformed kernels lie in cache at a time

Index thread_count() {
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

Tiling tiling(Index n, Index height, Index width, Index in, Index out, Index pad) {
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

// v[point * stride + channel] of one tile of the input.
template <typename T>
DERMATOME_HD void transform_input_tile(const Tiling& t, const T* x, const T* zeros, Index tile, float* v,
                                       Index stride) {
  const auto place = t.place(tile);
  const T* pixels[kPoints];
  pixels_at<kInput>(x + place.image * t.height * t.width * t.in, t.height, t.width, t.in, place.y - t.pad,
                    place.x - t.pad, zeros, pixels);
  for (Index channel = 0; channel < t.in; channel += kLanes) {
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
      for (int c = 0; c < kInput; ++c) launch::store(v + (r * kInput + c) * stride + channel, row[c]);
    }
  }
}

// The gradient of one tile of outputs at the points: dm[point * stride + channel].
template <typename T>
DERMATOME_HD void transform_output_gradient_tile(const Tiling& t, const T* dy, const T* zeros, Index tile, float* dm,
                                                 Index stride) {
  const auto place = t.place(tile);
  const T* pixels[kOutput * kOutput];
  pixels_at<kOutput>(dy + place.image * t.out_height * t.out_width * t.out, t.out_height, t.out_width, t.out, place.y,
                     place.x, zeros, pixels);
  for (Index channel = 0; channel < t.out; channel += kLanes) {
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
      for (int c = 0; c < kInput; ++c) launch::store(dm + (r * kInput + c) * stride + channel, row[c]);
    }
  }
}

// Writes channels [first, first + count) of one tile of outputs from m[point * stride + channel - first].
template <typename T>
DERMATOME_HD void transform_output_tile(const Tiling& t, const float* m, Index stride, Index first, Index count,
                                        const float* bias, Index tile, T* y) {
  const auto place = t.place(tile);
  const Index rows = least(kOutput, t.out_height - place.y);
  const Index columns = least(kOutput, t.out_width - place.x);
  T* corner = y + ((place.image * t.out_height + place.y) * t.out_width + place.x) * t.out + first;
  for (Index channel = 0; channel < count; channel += kLanes) {
    Vec half[kOutput * kInput];
    for (int c = 0; c < kInput; ++c) {
      Vec column[kInput];
#pragma GCC unroll 6
      for (int r = 0; r < kInput; ++r) column[r] = launch::load(m + (r * kInput + c) * stride + channel);
      transform_output(column, 1, half + c, kInput);
    }
    const Vec offset = bias != nullptr ? launch::load(bias + first + channel) : Vec{};
    for (Index r = 0; r < rows; ++r) {
      Vec row[kOutput];
      transform_output(half + r * kInput, 1, row, 1);
      for (Index c = 0; c < columns; ++c)
        launch::store(corner + (r * t.out_width + c) * t.out + channel, row[c] + offset);
    }
  }
}

// One kernel for each lane, at the points: u[point * stride].
DERMATOME_HD void transform_kernel_taps(const Vec* taps, float* u, Index stride) {
  Vec half[kInput * 3];
#pragma GCC unroll 3
  for (int c = 0; c < 3; ++c) transform_kernel(taps + c, 3, half + c, 3);
  for (int r = 0; r < kInput; ++r) {
    Vec row[kInput];
    transform_kernel(half + r * 3, 1, row, 1);
#pragma GCC unroll 6
    for (int c = 0; c < kInput; ++c) launch::store(u + (r * kInput + c) * stride, row[c]);
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
        transform_kernel_taps(taps + lane * kTaps, u + (k + lane - first_k) * width + column, stride);
      }
    }
  }
}

// The same for the data gradient: a convolution by the kernels turned half round, with the channels' parts exchanged.
// Lanes are the weights' input channels, whose kernels lie one behind the other.
DERMATOME_HD void transform_turned_kernels(const Tiling& t, const float* weight, Index first_k, Index last_k,
                                           Index first_column, Index width, float* u, Index stride) {
  constexpr int kFirst = kTaps < kLanes ? kTaps : kLanes;
  for (Index k = first_k; k < last_k; ++k) {
    for (Index column = 0; column < width; column += kLanes) {
      const float* from = weight + (k * t.out + first_column + column) * kTaps;
      Vec taps[kTaps];
      for (int begin = 0; begin < kTaps; begin += kLanes) {
        Vec rows[kLanes];
        const int count = kTaps - begin < kFirst ? kTaps - begin : kFirst;
        for (int lane = 0; lane < kLanes; ++lane) rows[lane] = launch::load_first(from + lane * kTaps + begin, count);
        launch::transpose(rows);
        for (int tap = 0; tap < count; ++tap) taps[kTaps - 1 - begin - tap] = rows[tap];
      }
      transform_kernel_taps(taps, u + (k - first_k) * width + column, stride);
    }
  }
}

template <bool kTurned>
DERMATOME_HD void transform_kernels_as(const Tiling& t, const float* weight, Index first_k, Index last_k,
                                       Index first_column, Index width, float* u, Index stride) {
  if constexpr (kTurned) {
    transform_turned_kernels(t, weight, first_k, last_k, first_column, width, u, stride);
  } else {
    transform_kernels(t, weight, first_k, last_k, first_column, width, u, stride);
  }
}

// A length that is no multiple of 4 KiB: the 36 points of an element must not fall into one set of a cache.
Index point_stride(Index floats) {
  return floats + kLanes;
}

bool kernels_outweigh(const Tiling& t) {
  return t.in * t.out >= kLargeKernels && t.tiles <= kFewTiles;
}

// Blocks of about kBlockTiles, as many for each thread.
Index tiles_in_block(const Tiling& t) {
  const Index rounds = ceil_divide(t.tiles, kBlockTiles * thread_count());
  return ceil_divide(t.tiles, rounds * thread_count());
}

// Output channels of a panel where panels are what threads share.
Index panel_width(const Tiling& t) {
  Index width = kPanel;
  while (width > kLanes && ceil_divide(t.out, width) < thread_count()) width /= 2;
  return width;
}

// --- many tiles: all kernels are transformed once, then each thread takes blocks of tiles ---

struct BlockLayout {
  Index tiles, v_stride, m_stride;
  Index kernels, local, zeros;  // floats
};

BlockLayout block_layout(const Tiling& t) {
  BlockLayout layout{};
  layout.tiles = tiles_in_block(t);
  layout.v_stride = point_stride(layout.tiles * t.in);
  layout.m_stride = point_stride(layout.tiles * t.out);
  layout.kernels = kPoints * t.in * t.out;
  layout.local = kPoints * (layout.v_stride + layout.m_stride);
  layout.zeros = most(t.in, t.out);
  return layout;
}

template <bool kTurned, typename T>
void convolve_blocks(const Tiling& t, const T* x, const float* weight, const float* bias, T* y, float* workspace) {
  const BlockLayout layout = block_layout(t);
  float* zeros = workspace;
  float* u = zeros + layout.zeros;
  float* locals = u + layout.kernels;
  for (Index c = 0; c < layout.zeros; ++c) zeros[c] = 0;
  const T* outside = reinterpret_cast<const T*>(zeros);
  const Index panels = ceil_divide(t.out, kPanel);
  const Index depths = ceil_divide(t.in, kPanelDepth);
  launch::in_team(true, [&] {
    const Tiling mine = t;
    float* v = locals + omp_get_thread_num() * layout.local;
    float* m = v + kPoints * layout.v_stride;
#pragma omp for schedule(static)
    for (Index unit = 0; unit < panels * depths; ++unit) {
      const Index column = unit / depths * kPanel;
      const Index k = unit % depths * kPanelDepth;
      const Index width = least(kPanel, mine.out - column);
      transform_kernels_as<kTurned>(mine, weight, k, least(k + kPanelDepth, mine.in), column, width,
                                    u + mine.in * column + k * width, mine.in * mine.out);
    }
#pragma omp for schedule(static)
    for (Index first = 0; first < mine.tiles; first += layout.tiles) {
      const Index count = least(layout.tiles, mine.tiles - first);
      for (Index i = 0; i < count; ++i) {
        transform_input_tile(mine, x, outside, first + i, v + i * mine.in, layout.v_stride);
      }
      for (Index point = 0; point < kPoints; ++point) {
        for (Index column = 0; column < mine.out; column += kPanel) {
          const Index width = least(kPanel, mine.out - column);
          launch::multiply_panel({.a = v + point * layout.v_stride,
                                  .a_row = mine.in,
                                  .a_step = 1,
                                  .b = u + point * mine.in * mine.out + mine.in * column,
                                  .b_row = width,
                                  .c = m + point * layout.m_stride + column,
                                  .c_row = mine.out,
                                  .depth = mine.in,
                                  .accumulate = false},
                                 count, width);
        }
      }
      for (Index i = 0; i < count; ++i) {
        transform_output_tile(mine, m + i * mine.out, layout.m_stride, 0, mine.out, bias, first + i, y);
      }
    }
  });
}

// --- few tiles: all tiles are transformed once, then each thread takes panels of output channels and transforms their
// kernels piece by piece, so that these never reach memory ---

struct PanelLayout {
  Index width, v_stride, m_stride, u_stride;
  Index shared, local, zeros;  // floats
};

PanelLayout panel_layout(const Tiling& t) {
  PanelLayout layout{};
  layout.width = panel_width(t);
  layout.v_stride = point_stride(t.tiles * t.in);
  layout.m_stride = point_stride(t.tiles * layout.width);
  layout.u_stride = point_stride(kPanelDepth * layout.width);
  layout.shared = kPoints * layout.v_stride;
  layout.local = kPoints * (layout.m_stride + layout.u_stride);
  layout.zeros = most(t.in, t.out);
  return layout;
}

template <bool kTurned, typename T>
void convolve_panels(const Tiling& t, const T* x, const float* weight, const float* bias, T* y, float* workspace) {
  const PanelLayout layout = panel_layout(t);
  float* zeros = workspace;
  float* v = zeros + layout.zeros;
  float* locals = v + layout.shared;
  for (Index c = 0; c < layout.zeros; ++c) zeros[c] = 0;
  const T* outside = reinterpret_cast<const T*>(zeros);
  launch::in_team(true, [&] {
    const Tiling mine = t;
    float* m = locals + omp_get_thread_num() * layout.local;
    float* u = m + kPoints * layout.m_stride;
#pragma omp for schedule(static)
    for (Index tile = 0; tile < mine.tiles; ++tile) {
      transform_input_tile(mine, x, outside, tile, v + tile * mine.in, layout.v_stride);
    }
#pragma omp for schedule(static)
    for (Index column = 0; column < mine.out; column += layout.width) {
      const Index width = least(layout.width, mine.out - column);
      for (Index k = 0; k < mine.in; k += kPanelDepth) {
        const Index depth = least(kPanelDepth, mine.in - k);
        transform_kernels_as<kTurned>(mine, weight, k, k + depth, column, width, u, layout.u_stride);
        for (Index point = 0; point < kPoints; ++point) {
          launch::multiply_panel({.a = v + point * layout.v_stride + k,
                                  .a_row = mine.in,
                                  .a_step = 1,
                                  .b = u + point * layout.u_stride,
                                  .b_row = width,
                                  .c = m + point * layout.m_stride,
                                  .c_row = width,
                                  .depth = depth,
                                  .accumulate = k > 0},
                                 mine.tiles, width);
        }
      }
      for (Index tile = 0; tile < mine.tiles; ++tile) {
        transform_output_tile(mine, m + tile * width, layout.m_stride, column, width, bias, tile, y);
      }
    }
  });
}

template <bool kTurned, typename T>
void convolve(const Tiling& t, const T* x, const float* weight, const float* bias, T* y, void* workspace) {
  auto* floats = static_cast<float*>(workspace);
  if (kernels_outweigh(t)) {
    convolve_panels<kTurned>(t, x, weight, bias, y, floats);
  } else {
    convolve_blocks<kTurned>(t, x, weight, bias, y, floats);
  }
}

Index workspace_of(const Tiling& t) {
  if (kernels_outweigh(t)) {
    const PanelLayout layout = panel_layout(t);
    return (layout.zeros + layout.shared + thread_count() * layout.local) * 4;
  }
  const BlockLayout layout = block_layout(t);
  return (layout.zeros + layout.kernels + thread_count() * layout.local) * 4;
}

Tiling forward_tiling(const Call& call) {
  const Geometry g = forward_geometry(call);
  return tiling(g.n, g.height, g.width, g.in, g.out, g.pad);
}

Tiling data_gradient_tiling(const Call& call) {
  const Geometry g = data_gradient_geometry(call);
  return tiling(g.n, g.out_height, g.out_width, g.out, g.in, 2 - g.pad);
}

template <typename T>
void forward(const Call& call) {
  const float* bias = call.input_count > 2 ? launch::in<float>(call, 2) : nullptr;
  convolve<false>(forward_tiling(call), launch::in<T>(call, 0), launch::in<float>(call, 1), bias,
                  launch::out<T>(call, 0), call.workspace);
}

template <typename T>
void data_gradient(const Call& call) {
  convolve<true>(data_gradient_tiling(call), launch::in<T>(call, 0), launch::in<float>(call, 1), nullptr,
                 launch::out<T>(call, 0), call.workspace);
}

// --- the weight gradient: 36 products over the tiles, of transformed inputs and transformed output gradients ---

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

// Vectors run along channels; a tile more than half empty would cost more than it saves.
bool fits(const Geometry& g) {
  return g.kernel == 3 && g.stride == 1 && g.pad <= 2 && g.in % 16 == 0 && g.out % 16 == 0 &&
         g.out_height >= kOutput - 1 && g.out_width >= kOutput - 1;
}

bool fits_forward(const Call& call) {
  return call.outputs[0].type == call.inputs[0].type && fits(forward_geometry(call));
}
bool fits_data_gradient(const Call& call) {
  return fits(data_gradient_geometry(call));
}
bool fits_weight_gradient(const Call& call) {
  return call.outputs[0].data != nullptr && fits(weight_gradient_geometry(call));
}

// With AMX all products in bf16 are faster than a quarter of them in f32.
template <bool (*kFits)(const Call&)>
bool in_bf16(const Call& call) {
  return !launch::has_bf16_matrix_unit() && kFits(call);
}

Index forward_workspace(const Call& call) {
  return workspace_of(forward_tiling(call));
}
Index data_gradient_workspace(const Call& call) {
  return workspace_of(data_gradient_tiling(call));
}

}  // namespace
}  // namespace dermatome::conv2d

// bf16 in and out, f32 in between: the transforms would magnify the roundings of bf16.
DERMATOME_CPU_TABLE(conv2d_winograd,
                    {"conv2d", DType::f32, conv2d::forward<float>, conv2d::forward_workspace, conv2d::fits_forward},
                    {"conv2d_data_gradient", DType::f32, conv2d::data_gradient<float>, conv2d::data_gradient_workspace,
                     conv2d::fits_data_gradient},
                    {"conv2d_weight_gradient", DType::f32, conv2d::weight_gradient<float>,
                     conv2d::weight_gradient_workspace, conv2d::fits_weight_gradient},
                    {"conv2d", DType::bf16, conv2d::forward<launch::Bfloat16>, conv2d::forward_workspace,
                     conv2d::in_bf16<conv2d::fits_forward>, true},
                    {"conv2d_data_gradient", DType::bf16, conv2d::data_gradient<launch::Bfloat16>,
                     conv2d::data_gradient_workspace, conv2d::in_bf16<conv2d::fits_data_gradient>, true},
                    {"conv2d_weight_gradient", DType::bf16, conv2d::weight_gradient<launch::Bfloat16>,
                     conv2d::weight_gradient_workspace, conv2d::in_bf16<conv2d::fits_weight_gradient>, true})

// 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3), forward and data gradient: a quarter of the direct
// arithmetic. Transform, 36 matrix products, transform back; nothing but workspace lies in between, and it stays in
// cache: tiles are taken in blocks, or, where the kernels outweigh the tiles, output channels are taken in panels.
#include "kernels/conv2d/winograd_tiles.h"
#include "kernels/launch/table.h"

namespace dermatome::conv2d {
namespace {

constexpr Index kBlockTiles = 30;  // of which a thread keeps the transforms in its cache; a multiple of kBlockRows
constexpr Index kFewTiles = 128;   // up to here kernels of kLargeKernels weigh more than the tiles
constexpr Index kPanelDepth = 64;  // input channels whose transformed kernels lie in cache at a time

bool kernels_outweigh(const Tiling& t) {
  return t.in * t.out >= kLargeKernels && t.tiles <= kFewTiles;
}

// Threads may not share a cache: what one has written then reaches another slowly. So each transforms for itself what
// all need, where that is a few percent of its products.
bool transforms_own_kernels(const Tiling& t) {
  constexpr Index kTilesOfThread = 64;
  return thread_count() > 1 && t.tiles >= kTilesOfThread * thread_count();
}
bool transforms_own_tiles(const Tiling& t) {
  constexpr Index kChannelsOfThread = 128;
  return thread_count() > 1 && t.out >= kChannelsOfThread * thread_count();
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
  bool own_kernels;                           // in each thread's local memory
  Index tiles, v_stride, m_stride, u_stride;  // elements
  Index kernels, v, local, zeros;             // floats
};

template <typename F>
BlockLayout block_layout(const Tiling& t) {
  BlockLayout layout{};
  layout.tiles = tiles_in_block(t);
  layout.v_stride = point_stride<F>(layout.tiles * t.in);
  layout.m_stride = point_stride(layout.tiles * least(kPanel, t.out));
  layout.u_stride = point_stride<F>(t.in * t.out);
  layout.own_kernels = transforms_own_kernels(t);
  const Index kernels = floats_of<F>(kPoints * layout.u_stride);
  layout.kernels = layout.own_kernels ? 0 : kernels;
  layout.v = floats_of<F>(kPoints * layout.v_stride);
  layout.local = layout.v + kPoints * layout.m_stride + (layout.own_kernels ? kernels : 0);
  layout.zeros = most(t.in, t.out);
  return layout;
}

template <bool kTurned, typename F, typename T, typename Finish>
void convolve_blocks(const Tiling& t, const T* x, const float* weight, const Finish& finish, T* y, float* workspace) {
  const BlockLayout layout = block_layout<F>(t);
  float* zeros = workspace;
  float* shared = zeros + layout.zeros;
  float* locals = zeros + layout.zeros + layout.kernels;
  for (Index c = 0; c < layout.zeros; ++c) zeros[c] = 0;
  const T* outside = reinterpret_cast<const T*>(zeros);
  const Index panels = ceil_divide(t.out, kPanel);
  const Index depths = ceil_divide(t.in, kPanelDepth);
  launch::in_team(true, [&] {
    const Tiling mine = t;
    const Finish my_finish = finish;
    float* local = locals + omp_get_thread_num() * layout.local;
    auto* v = reinterpret_cast<F*>(local);
    float* m = local + layout.v;
    auto* u = reinterpret_cast<F*>(layout.own_kernels ? m + kPoints * layout.m_stride : shared);
    const auto transform = [&](Index unit) {
      const Index column = unit / depths * kPanel;
      const Index k = unit % depths * kPanelDepth;
      const Index width = least(kPanel, mine.out - column);
      transform_kernels_as<kTurned>(mine, weight, k, least(k + kPanelDepth, mine.in), column, width,
                                    u + mine.in * column + k * width, layout.u_stride);
    };
    if (layout.own_kernels) {
      for (Index unit = 0; unit < panels * depths; ++unit) transform(unit);
    } else {
#pragma omp for schedule(static)
      for (Index unit = 0; unit < panels * depths; ++unit) transform(unit);
    }
#pragma omp for schedule(static)
    for (Index first = 0; first < mine.tiles; first += layout.tiles) {
      const Index count = least(layout.tiles, mine.tiles - first);
      for (Index i = 0; i < count; ++i) {
        transform_input_tile(mine, x, outside, first + i, v + i * mine.in, layout.v_stride);
      }
      for (Index column = 0; column < mine.out; column += kPanel) {
        const Index width = least(kPanel, mine.out - column);
        for (Index point = 0; point < kPoints; ++point) {
          const launch::ProductOf<F> product{.a = v + point * layout.v_stride,
                                             .a_row = mine.in,
                                             .a_step = kTerms<F>,
                                             .b = u + point * layout.u_stride + mine.in * column,
                                             .b_row = width * kTerms<F>,
                                             .c = m + point * layout.m_stride,
                                             .c_row = width,
                                             .depth = mine.in / kTerms<F>,
                                             .accumulate = false};
          launch::multiply_columns(product, count, width, launch::Unchanged{});
        }
        my_finish.visit([&](const auto& known) {
          for (Index i = 0; i < count; ++i) {
            transform_output_tile(mine, m + i * width, layout.m_stride, column, width, known, first + i, y);
          }
        });
      }
    }
  });
}

// --- few tiles: all tiles are transformed once, then each thread takes panels of output channels and transforms their
// kernels piece by piece, so that these never reach memory ---

struct PanelLayout {
  bool own_tiles;                             // in each thread's local memory
  Index width, v_stride, m_stride, u_stride;  // elements
  Index shared, u, local, zeros;              // floats
};

template <typename F>
PanelLayout panel_layout(const Tiling& t) {
  PanelLayout layout{};
  layout.width = panel_width(t);
  layout.v_stride = point_stride<F>(t.tiles * t.in);
  layout.m_stride = point_stride(t.tiles * layout.width);
  layout.u_stride = point_stride<F>(kPanelDepth * layout.width);
  layout.own_tiles = transforms_own_tiles(t);
  const Index tiles = floats_of<F>(kPoints * layout.v_stride);
  layout.shared = layout.own_tiles ? 0 : tiles;
  layout.u = floats_of<F>(kPoints * layout.u_stride);
  layout.local = kPoints * layout.m_stride + layout.u + (layout.own_tiles ? tiles : 0);
  layout.zeros = most(t.in, t.out);
  return layout;
}

template <bool kTurned, typename F, typename T, typename Finish>
void convolve_panels(const Tiling& t, const T* x, const float* weight, const Finish& finish, T* y, float* workspace) {
  const PanelLayout layout = panel_layout<F>(t);
  float* zeros = workspace;
  float* shared = zeros + layout.zeros;
  float* locals = zeros + layout.zeros + layout.shared;
  for (Index c = 0; c < layout.zeros; ++c) zeros[c] = 0;
  const T* outside = reinterpret_cast<const T*>(zeros);
  launch::in_team(true, [&] {
    const Tiling mine = t;
    const Finish my_finish = finish;
    float* m = locals + omp_get_thread_num() * layout.local;
    float* after_m = m + kPoints * layout.m_stride;
    auto* u = reinterpret_cast<F*>(after_m);
    auto* v = reinterpret_cast<F*>(layout.own_tiles ? after_m + layout.u : shared);
    const auto transform = [&](Index tile) {
      transform_input_tile(mine, x, outside, tile, v + tile * mine.in, layout.v_stride);
    };
    if (layout.own_tiles) {
      for (Index tile = 0; tile < mine.tiles; ++tile) transform(tile);
    } else {
#pragma omp for schedule(static)
      for (Index tile = 0; tile < mine.tiles; ++tile) transform(tile);
    }
#pragma omp for schedule(static)
    for (Index column = 0; column < mine.out; column += layout.width) {
      const Index width = least(layout.width, mine.out - column);
      for (Index k = 0; k < mine.in; k += kPanelDepth) {
        const Index depth = least(kPanelDepth, mine.in - k);
        transform_kernels_as<kTurned>(mine, weight, k, k + depth, column, width, u, layout.u_stride);
        for (Index point = 0; point < kPoints; ++point) {
          const launch::ProductOf<F> product{.a = v + point * layout.v_stride + k,
                                             .a_row = mine.in,
                                             .a_step = kTerms<F>,
                                             .b = u + point * layout.u_stride,
                                             .b_row = width * kTerms<F>,
                                             .c = m + point * layout.m_stride,
                                             .c_row = width,
                                             .depth = depth / kTerms<F>,
                                             .accumulate = k > 0};
          launch::multiply_columns(product, mine.tiles, width, launch::Unchanged{});
        }
      }
      my_finish.visit([&](const auto& known) {
        for (Index tile = 0; tile < mine.tiles; ++tile) {
          transform_output_tile(mine, m + tile * width, layout.m_stride, column, width, known, tile, y);
        }
      });
    }
  });
}

// F: the type of the products' factors.
template <bool kTurned, typename F, typename T, typename Finish>
void convolve(const Tiling& t, const T* x, const float* weight, const Finish& finish, T* y, void* workspace) {
  auto* floats = static_cast<float*>(workspace);
  if (kernels_outweigh(t)) {
    convolve_panels<kTurned, F>(t, x, weight, finish, y, floats);
  } else {
    convolve_blocks<kTurned, F>(t, x, weight, finish, y, floats);
  }
}

template <typename F>
Index workspace_of(const Tiling& t) {
  if (kernels_outweigh(t)) {
    const PanelLayout layout = panel_layout<F>(t);
    return (layout.zeros + layout.shared + thread_count() * layout.local) * 4;
  }
  const BlockLayout layout = block_layout<F>(t);
  return (layout.zeros + layout.kernels + thread_count() * layout.local) * 4;
}

template <typename F>
Work work_of(const Tiling& t) {
  const auto tiles = static_cast<double>(t.tiles);
  const auto in = static_cast<double>(t.in);
  const auto out = static_cast<double>(t.out);
  // How often the tiles and the kernels are transformed; and what of both goes through memory.
  const bool panels = kernels_outweigh(t);
  const auto threads = static_cast<double>(thread_count());
  const double of_tiles = panels && transforms_own_tiles(t) ? threads : 1;
  const double of_kernels = !panels && transforms_own_kernels(t) ? threads : 1;
  const auto transformed =
      static_cast<double>(floats_of<F>(kPoints * (panels ? panel_layout<F>(t).v_stride : block_layout<F>(t).u_stride)));
  return {.flops = product_flops(t, t.tiles) + tiles * (of_tiles * kInputFlops * in + kOutputFlops * out) +
                   of_kernels * kKernelFlops * in * out,
          .workspace_bytes = 2 * 4 * of_tiles * of_kernels * transformed,
          .factors = factor_type<F>()};
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
  convolve<false, float>(forward_tiling(call), launch::in<T>(call, 0), launch::in<float>(call, 1), AddBias{bias},
                         launch::out<T>(call, 0), call.workspace);
}

template <typename T>
void fused(const Call& call) {
  convolve<false, float>(forward_tiling(call), launch::in<T>(call, kX), launch::in<float>(call, kWeight),
                         epilogue_of<T>(call), launch::out<T>(call, 0), call.workspace);
}

template <typename T>
void data_gradient(const Call& call) {
  convolve<true, T>(data_gradient_tiling(call), launch::in<T>(call, 0), launch::in<float>(call, 1), AddBias{nullptr},
                    launch::out<T>(call, 0), call.workspace);
}

bool fits_forward(const Call& call) {
  return call.outputs[0].type == call.inputs[0].type && fits_winograd(forward_geometry(call));
}
bool fits_data_gradient(const Call& call) {
  return fits_winograd(data_gradient_geometry(call));
}

Index forward_workspace(const Call& call) {
  return workspace_of<float>(forward_tiling(call));
}
template <typename T>
Index data_gradient_workspace(const Call& call) {
  return workspace_of<T>(data_gradient_tiling(call));
}

Work forward_work(const Call& call) {
  return work_of<float>(forward_tiling(call));
}
template <typename T>
Work data_gradient_work(const Call& call) {
  return work_of<T>(data_gradient_tiling(call));
}

}  // namespace
}  // namespace dermatome::conv2d

// bf16 in and out, f32 in between: the transforms would magnify the roundings of bf16.
DERMATOME_CPU_TABLE(conv2d_winograd,
                    {"conv2d", DType::f32, conv2d::forward<float>, conv2d::forward_workspace, conv2d::fits_forward,
                     false, conv2d::forward_work},
                    {"conv2d_data_gradient", DType::f32, conv2d::data_gradient<float>,
                     conv2d::data_gradient_workspace<float>, conv2d::fits_data_gradient, false,
                     conv2d::data_gradient_work<float>},
                    {"conv2d_fused", DType::f32, conv2d::fused<float>, conv2d::forward_workspace, conv2d::fits_forward,
                     false, conv2d::forward_work},
                    {"conv2d_fused", DType::bf16, conv2d::fused<launch::Bfloat16>, conv2d::forward_workspace,
                     conv2d::fits_forward, true, conv2d::forward_work},
                    {"conv2d", DType::bf16, conv2d::forward<launch::Bfloat16>, conv2d::forward_workspace,
                     conv2d::fits_forward, true, conv2d::forward_work},
                    {"conv2d_data_gradient", DType::bf16, conv2d::data_gradient<launch::Bfloat16>,
                     conv2d::data_gradient_workspace<launch::Bfloat16>, conv2d::fits_data_gradient, true,
                     conv2d::data_gradient_work<launch::Bfloat16>})

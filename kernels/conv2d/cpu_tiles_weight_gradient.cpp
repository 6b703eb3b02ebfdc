// conv2d_weight_gradient in bf16 as direct products of tiles: x channel by channel, spread out (tile_grid.h), times dy,
// pixels in pairs, at the distance of each tap.
#include "kernels/conv2d/product.h"
#include "kernels/conv2d/tile_grid.h"
#include "kernels/launch/table.h"

namespace dermatome::conv2d {
namespace {

using launch::kTileColumns;
using launch::kTileNumbers;

constexpr Index kSide = 2 * kTileRows;  // channels of x, and of dy, of a unit of work
constexpr Index kGroups = 8;            // of 32 positions: what both factors have of them lies in the first cache

struct Layout {
  Index x, dy, totals;  // offsets; totals: of each thread
  Index bytes;
};

Layout layout_of(const Geometry& g, const TileGrid& grid) {
  launch::WorkspaceLayout parts;
  Layout layout{};
  layout.x = parts.take(spread_bytes(grid));
  layout.dy = parts.take(tiles_for(grid.positions(), kTileTerms) * kTileTerms * g.out * 2);
  layout.totals = parts.take_floats(omp_get_max_threads() * taps_of(g) * kSide * kSide);
  layout.bytes = parts.bytes();
  return layout;
}

// rows[channel * stride of a channel + position], all phases of a channel one behind the other.
void spread_rows(const TileGrid& grid, const Bfloat16* x, Bfloat16* to) {
  const Index row = grid.phases * grid.phase_pixels;
  const Index groups = grid.phase_pixels / kTileTerms;
#pragma omp for schedule(static) nowait
  for (Index unit = 0; unit < grid.phases * groups; ++unit) {
    const Index phase = unit / groups;
    const Index first = unit % groups * kTileTerms;
    const Bfloat16* pixels[kTileTerms];
    const PixelsOfPhase inputs = pixels_of_phase(grid, phase);
    Position position = Position::at(grid, first - grid.lead);
    for (Index p = 0; p < kTileTerms; ++p) {
      const Index pixel = inputs.at(position);
      pixels[p] = pixel < 0 ? nullptr : x + pixel * grid.channels;
      position.next(grid);
    }
    launch::put_rows(
        grid.channels, [&](Index p, Index c) { return pixels[p] != nullptr ? pixels[p] + c : nullptr; },
        to + phase * grid.phase_pixels + first, row);
  }
}

// tiles[(column / 16 * groups + position / 32) * 512]: 16 pairs of positions by 16 channels.
void spread_pairs(const TileGrid& grid, const Bfloat16* dy, Index channels, Bfloat16* to) {
  const Index groups = tiles_for(grid.positions(), kTileTerms);
  const PixelsOfPhase outputs = pixels_of_sums(grid);
#pragma omp for schedule(static)
  for (Index group = 0; group < groups; ++group) {
    Position position = Position::at(grid, group * kTileTerms);
    for (Index p = 0; p < kTileTerms; p += 2) {
      const Index first = outputs.at(position);
      position.next(grid);
      const Index second = outputs.at(position);
      position.next(grid);
      for (Index c = 0; c < channels; c += kLanes) {
        const auto bits = [&](Index pixel) {
          return pixel < 0 ? launch::VecBits{} : launch::load_bits(dy + pixel * channels + c);
        };
        launch::store_pairs(
            to + (c / kTileColumns * groups + group) * kTileNumbers + p * kTileColumns + c % kTileColumns * 2,
            bits(first) | bits(second) << 16);
      }
    }
  }
}

// dweight[o, i, tap] of 32 by 32 channels from totals[(tap * 32 + i) * 32 + o].
void unpack(const Geometry& g, const float* totals, Index i, Index o, float* dweight) {
  const Index taps = taps_of(g);
  for (Index begin = 0; begin < kSide * taps; begin += kLanes) {
    for (Index column = 0; column < kSide; column += kLanes) {
      Vec rows[kLanes];
      for (Index j = 0; j < kLanes; ++j) {
        const Index k = (begin + j) % taps * kSide + (begin + j) / taps;
        rows[j] = launch::load(totals + k * kSide + column);
      }
      launch::transpose(rows);
      for (Index lane = 0; lane < kLanes; ++lane) {
        launch::store(dweight + ((o + column + lane) * g.in + i) * taps + begin, rows[lane]);
      }
    }
  }
}

void weight_gradient(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const TileGrid grid = forward_grid(g);
  const Layout layout = layout_of(g, grid);
  const auto* x = launch::in<Bfloat16>(call, 0);
  const auto* dy = launch::in<Bfloat16>(call, 1);
  float* dweight = launch::out<float>(call, 0);
  if (float* dbias = launch::out<float>(call, 1); dbias != nullptr) {
    bias_gradient(dy, pixels_of(g), g.out, static_cast<float*>(call.workspace), dbias);
  }
  TileTap taps[kMostTileTaps];
  const Index count = forward_taps(g, grid, taps);
  const Index row = grid.phases * grid.phase_pixels;
  const Index groups = tiles_for(grid.positions(), kTileTerms);
  auto* rows = launch::part_of<Bfloat16>(call.workspace, layout.x);
  auto* pairs = launch::part_of<Bfloat16>(call.workspace, layout.dy);
  auto* all_totals = launch::part_of<float>(call.workspace, layout.totals);
  launch::in_team(true, [&] {
    spread_rows(grid, x, rows);
    spread_pairs(grid, dy, g.out, pairs);
    float* totals = all_totals + omp_get_thread_num() * count * kSide * kSide;
    const launch::Tiles configured(kTileRows, kTileRows, launch::kTileSteps);
#pragma omp for schedule(static)
    for (Index unit = 0; unit < g.in / kSide * (g.out / kSide); ++unit) {
      const Index i = unit / (g.out / kSide) * kSide;
      const Index o = unit % (g.out / kSide) * kSide;
      // A row of taps at a time, whose totals stay in the first cache beside the factors.
      for (Index tap_row = 0; tap_row < count; tap_row += g.kernel) {
        for (Index group = 0; group < groups; group += kGroups) {
          for (Index t = tap_row; t < tap_row + g.kernel; ++t) {
            launch::multiply_tiles<2, 2>({.a = rows + i * row + group * kTileTerms + taps[t].shift,
                                          .a_row = row,
                                          .a_block = kTileTerms,
                                          .b = pairs + (o / kTileColumns * groups + group) * kTileNumbers,
                                          .b_row = 2 * kTileColumns,
                                          .b_block = kTileNumbers,
                                          .b_tile = groups * kTileNumbers,
                                          .c = totals + taps[t].tap * kSide * kSide,
                                          .c_row = kSide,
                                          .blocks = least(kGroups, groups - group),
                                          .accumulate = group > 0},
                                         kTileRows);
          }
        }
      }
      unpack(g, totals, i, o, dweight);
    }
  });
}

Index workspace(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const bool bias = call.outputs[1].data != nullptr;
  return most(layout_of(g, forward_grid(g)).bytes, bias ? bias_gradient_workspace(pixels_of(g), g.out) : 0);
}

bool fits(const Call& call) {
  return call.outputs[0].data != nullptr && fits_tiles(weight_gradient_geometry(call));
}

Work work(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const TileGrid grid = forward_grid(g);
  const Layout layout = layout_of(g, grid);
  return {.flops = 2 * static_cast<double>(tiles_for(grid.positions(), kTileTerms) * kTileTerms * taps_of(g)) *
                   static_cast<double>(g.in * g.out),
          .workspace_bytes = 2 * static_cast<double>(layout.totals),
          .factors = DType::bf16};
}

}  // namespace
}  // namespace dermatome::conv2d

DERMATOME_CPU_TABLE(conv2d_tiles_weight_gradient, {"conv2d_weight_gradient", DType::bf16, conv2d::weight_gradient,
                                                   conv2d::workspace, conv2d::fits, true, conv2d::work})

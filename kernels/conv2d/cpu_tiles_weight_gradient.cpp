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

// 32 pixels in pairs, a tile for each 16 channels, `groups` tiles apart: at(p) are pixel p's channels, or null for
// zeros.
template <typename At>
void put_pairs(Index channels, const At& at, Bfloat16* to, Index groups) {
  for (Index p = 0; p < kTileTerms; p += 2) {
    const Bfloat16* first = at(p);
    const Bfloat16* second = at(p + 1);
    for (Index c = 0; c < channels; c += kLanes) {
      const auto bits = [&](const Bfloat16* pixel) {
        return pixel == nullptr ? launch::VecBits{} : launch::load_bits(pixel + c);
      };
      launch::store_pairs(to + c / kTileColumns * groups * kTileNumbers + p * kTileColumns + c % kTileColumns * 2,
                          bits(first) | bits(second) << 16);
    }
  }
}

// tiles[(column / 16 * groups + position / 32) * 512]: 16 pairs of positions by 16 channels.
void spread_pairs(const TileGrid& grid, const Bfloat16* dy, Index channels, Bfloat16* to) {
  const Index groups = tiles_for(grid.positions(), kTileTerms);
  const PixelsOfPhase outputs = pixels_of_sums(grid);
#pragma omp for schedule(static)
  for (Index group = 0; group < groups; ++group) {
    Position position = Position::at(grid, group * kTileTerms);
    const Bfloat16* pixels[kTileTerms];
    for (Index p = 0; p < kTileTerms; ++p) {
      const Index pixel = outputs.at(position);
      pixels[p] = pixel < 0 ? nullptr : dy + pixel * channels;
      position.next(grid);
    }
    put_pairs(
        channels, [&](Index p) { return pixels[p]; }, to + group * kTileNumbers, groups);
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

// --- where a tap's channels are no whole blocks: products of what lies under windows, gathered some pixels at a time
// ---

constexpr Index kGatheredPixels = 2048;

struct GatheredLayout {
  Index windows, rows, dy, totals, bytes;  // windows: 32 of each thread
};

GatheredLayout gathered_layout(const Geometry& g) {
  launch::WorkspaceLayout parts;
  GatheredLayout layout{};
  const Index terms = gathered_terms(g);
  layout.windows = parts.take(omp_get_max_threads() * kTileTerms * terms * 2);
  layout.rows = parts.take(kGatheredPixels * terms * 2);
  layout.dy = parts.take(kGatheredPixels * g.out * 2);
  layout.totals = parts.take_floats(terms * g.out);
  layout.bytes = parts.bytes();
  return layout;
}

void gathered_weight_gradient(const Geometry& g, const Bfloat16* x, const Bfloat16* dy, float* dweight,
                              void* workspace) {
  const GatheredLayout layout = gathered_layout(g);
  const Index terms = gathered_terms(g);
  const Index panels = g.out / kSide;
  auto* rows = launch::part_of<Bfloat16>(workspace, layout.rows);
  auto* pairs = launch::part_of<Bfloat16>(workspace, layout.dy);
  auto* totals = launch::part_of<float>(workspace, layout.totals);
  launch::in_team(true, [&] {
    Bfloat16* windows =
        launch::part_of<Bfloat16>(workspace, layout.windows) + omp_get_thread_num() * kTileTerms * terms;
    zero_numbers(windows, kTileTerms * terms);
    const launch::Tiles configured(kTileRows, kTileRows, launch::kTileSteps);
    for (Index first = 0; first < pixels_of(g); first += kGatheredPixels) {
      const Index count = least(kGatheredPixels, pixels_of(g) - first);
      const Index groups = tiles_for(count, kTileTerms);
      // rows[group][term][32 pixels], pairs[column / 16][group][16 pairs of pixels][16 columns]
#pragma omp for schedule(static)
      for (Index group = 0; group < groups; ++group) {
        const Index begin = group * kTileTerms;
        const Index here = least(kTileTerms, count - begin);
        gather_windows(g, x, first + begin, here, windows, terms);
        launch::put_rows(
            terms, [&](Index p, Index k) { return p < here ? windows + p * terms + k : nullptr; }, rows + begin * terms,
            kTileTerms);
        put_pairs(
            g.out, [&](Index p) { return p < here ? dy + (first + begin + p) * g.out : nullptr; },
            pairs + group * kTileNumbers, groups);
      }
#pragma omp for schedule(static)
      for (Index unit = 0; unit < terms / kSide * panels; ++unit) {
        const Index k = unit / panels * kSide;
        const Index o = unit % panels * kSide;
        launch::multiply_tiles<2, 2>({.a = rows + k * kTileTerms,
                                      .a_row = kTileTerms,
                                      .a_block = terms * kTileTerms,
                                      .b = pairs + o / kTileColumns * groups * kTileNumbers,
                                      .b_row = 2 * kTileColumns,
                                      .b_block = kTileNumbers,
                                      .b_tile = groups * kTileNumbers,
                                      .c = totals + k * g.out + o,
                                      .c_row = g.out,
                                      .blocks = groups,
                                      .accumulate = first > 0},
                                     kTileRows);
      }
    }
#pragma omp for schedule(static)
    for (Index part = 0; part < tiles_for(depth_of(g), kLanes); ++part)
      unpack_weight_gradient(g, totals, part, dweight);
  });
}

void weight_gradient(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const auto* x = launch::in<Bfloat16>(call, 0);
  const auto* dy = launch::in<Bfloat16>(call, 1);
  float* dweight = launch::out<float>(call, 0);
  if (float* dbias = launch::out<float>(call, 1); dbias != nullptr) {
    bias_gradient(dy, pixels_of(g), g.out, static_cast<float*>(call.workspace), dbias);
  }
  if (!has_whole_blocks(g.in)) return gathered_weight_gradient(g, x, dy, dweight, call.workspace);
  const TileGrid grid = forward_grid(g);
  const Layout layout = layout_of(g, grid);
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
  const Index bytes = has_whole_blocks(g.in) ? layout_of(g, forward_grid(g)).bytes : gathered_layout(g).bytes;
  return most(bytes, bias ? bias_gradient_workspace(pixels_of(g), g.out) : 0);
}

bool fits(const Call& call) {
  return call.outputs[0].data != nullptr && fits_tiles(weight_gradient_geometry(call));
}

Work work(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  if (!has_whole_blocks(g.in)) {
    const Index pixels = tiles_for(pixels_of(g), kTileTerms) * kTileTerms;
    const double moved = static_cast<double>(pixels * (gathered_terms(g) + g.out)) * sizeof(Bfloat16);
    return {.flops = 2 * static_cast<double>(pixels * gathered_terms(g) * g.out),
            .workspace_bytes = 2 * moved,
            .factors = DType::bf16};
  }
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

// conv2d_weight_gradient in bf16 as direct products of tiles: x channel by channel, spread out (tile_grid.h), times dy,
// pixels in pairs, at the distance of each tap. Tiles that begin anywhere but with a line of the cache take half as
// long again to load, so x stays where it is and dy is moved; pairs that begin with every pixel need two copies of it.
#include "kernels/conv2d/tile_grid.h"
#include "kernels/launch/table.h"

namespace dermatome::conv2d {
namespace {

using launch::kTileColumns;
using launch::kTileNumbers;
using launch::kTileSteps;

constexpr Index kSide = 2 * kTileRows;  // channels of x, and of dy, of a unit of work
constexpr Index kGroups = 48;           // of 32 positions: summed before totals are stored
constexpr Index kCache = 768 * 1024;    // bytes of both factors that stay in a cache until they are summed

struct Layout {
  Index groups, chunks;  // groups of a chunk
  Index length;          // positions of a channel and a phase in a chunk
  Index before, pairs;   // positions of dy in front of the chunk's; pairs of a copy
  Index x, dy, totals;   // offsets; totals: of each thread, or where there are several chunks of each unit
  Index bytes;
};

Index units_of(const Geometry& g) {
  return g.in / kSide * (g.out / kSide);
}

Layout layout_of(const Geometry& g, const TileGrid& grid) {
  launch::WorkspaceLayout parts;
  Layout layout{};
  const Index groups = ceil_divide(grid.positions(), kTileTerms);
  const Index group_bytes = (g.in * grid.phases + 2 * g.out) * kTileTerms * 2;
  layout.chunks = ceil_divide(groups, most(kCache / group_bytes, kGroups));
  layout.groups = ceil_divide(groups, layout.chunks);
  layout.length = layout.groups * kTileTerms;
  // Rows of tiles must not fall into few sets of a cache.
  if (layout.groups % 2 == 0) layout.length += kTileTerms;
  layout.before = ceil_divide(grid.reach - grid.lead, kTileTerms) * kTileTerms;
  layout.pairs = (layout.before + (layout.groups + ceil_divide(grid.lead, kTileTerms)) * kTileTerms) / 2;
  layout.x = parts.take(g.in * grid.phases * layout.length * 2);
  layout.dy = parts.take(2 * 2 * layout.pairs * g.out * 2);
  layout.totals =
      parts.take_floats((layout.chunks > 1 ? units_of(g) : omp_get_max_threads()) * taps_of(g) * kSide * kSide);
  layout.bytes = parts.bytes();
  return layout;
}

// Where the pixels at positions from `first` on lie; null where none is.
DERMATOME_HD void find_pixels(const TileGrid& grid, const PixelsOfPhase& pixels, const Bfloat16* from, Index channels,
                              Index first, Index count, const Bfloat16** to) {
  Position position = Position::at(grid, first);
  for (Index p = 0; p < count; ++p) {
    const Index pixel = pixels.at(position);
    to[p] = pixel < 0 ? nullptr : from + pixel * channels;
    position.next(grid);
  }
}

// x in a chunk: rows[(channel * phases + phase) * length + position]
void spread_rows(const TileGrid& grid, const Layout& layout, Index chunk, const Bfloat16* x, Bfloat16* to) {
#pragma omp for schedule(static) nowait
  for (Index unit = 0; unit < grid.phases * layout.groups; ++unit) {
    const Index phase = unit / layout.groups;
    const Index group = unit % layout.groups;
    const Bfloat16* pixels[kTileTerms];
    find_pixels(grid, pixels_of_phase(grid, phase), x, grid.channels, (chunk * layout.groups + group) * kTileTerms,
                kTileTerms, pixels);
    launch::put_rows(
        grid.channels, [&](Index p, Index c) { return pixels[p] != nullptr ? pixels[p] + c : nullptr; },
        to + phase * layout.length + group * kTileTerms, grid.phases * layout.length);
  }
}

// 32 pixels in pairs, those of 16 channels one behind the other, `apart` from those of the next: pixels[p] are pixel
// p's channels, or null for zeros.
void put_pairs(Index channels, const Bfloat16* const* pixels, Bfloat16* to, Index apart) {
  for (Index p = 0; p < kTileTerms; p += 2) {
    for (Index c = 0; c < channels; c += kLanes) {
      const auto bits = [&](const Bfloat16* pixel) {
        return pixel == nullptr ? launch::VecBits{} : launch::load_bits(pixel + c);
      };
      launch::store_pairs(to + c / kTileColumns * apart + p * kTileColumns + c % kTileColumns * 2,
                          bits(pixels[p]) | bits(pixels[p + 1]) << 16);
    }
  }
}

// dy around a chunk: copies[copy][column / 16][pair][16 columns][2], pair i of the copies from position 2 i and 2 i + 1
// on, `before` of which are in front of the chunk.
void spread_pairs(const TileGrid& grid, const Layout& layout, Index chunk, const Bfloat16* dy, Index channels,
                  Bfloat16* to) {
  const PixelsOfPhase outputs = pixels_of_sums(grid);
  const Index apart = layout.pairs * 2 * kTileColumns;
#pragma omp for schedule(static)
  for (Index group = 0; group < layout.pairs / kTileSteps; ++group) {
    const Bfloat16* pixels[kTileTerms + 1];
    find_pixels(grid, outputs, dy, channels, chunk * layout.groups * kTileTerms - layout.before + group * kTileTerms,
                kTileTerms + 1, pixels);
    put_pairs(channels, pixels, to + group * kTileNumbers, apart);
    put_pairs(channels, pixels + 1, to + layout.pairs * 2 * channels + group * kTileNumbers, apart);
  }
}

// dweight[o, i, tap] of 32 by 32 channels from totals[(tap * 32 + i) * 32 + o].
void unpack(const Geometry& g, const float* totals, Index i, Index o, float* dweight) {
  const Index taps = taps_of(g);
  for (Index column = 0; column < kSide; column += kLanes) {
    for (Index begin = 0; begin < kSide * taps; begin += kLanes) {
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

// Terms of a gathered window, with zeros behind them.
DERMATOME_HD Index gathered_terms(const Geometry& g) {
  return ceil_divide(g.kernel * g.kernel * g.in, kTileTerms) * kTileTerms;
}

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
      const Index groups = ceil_divide(count, kTileTerms);
      // rows[group][term][32 pixels], pairs[column / 16][group][16 pairs of pixels][16 columns]
#pragma omp for schedule(static)
      for (Index group = 0; group < groups; ++group) {
        const Index begin = group * kTileTerms;
        const Index here = least(kTileTerms, count - begin);
        gather_windows(g, x, first + begin, here, windows, terms);
        launch::put_rows(
            terms, [&](Index p, Index k) { return p < here ? windows + p * terms + k : nullptr; }, rows + begin * terms,
            kTileTerms);
        const Bfloat16* pixels[kTileTerms];
        for (Index p = 0; p < kTileTerms; ++p) pixels[p] = p < here ? dy + (first + begin + p) * g.out : nullptr;
        put_pairs(g.out, pixels, pairs + group * kTileNumbers, groups * kTileNumbers);
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
    for (Index part = 0; part < ceil_divide(depth_of(g), kLanes); ++part)
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
  const Index count = forward_taps(g, grid, 0, taps);
  const Index row = grid.phases * layout.length;
  const Index apart = layout.pairs * 2 * kTileColumns;
  auto* rows = launch::part_of<Bfloat16>(call.workspace, layout.x);
  auto* pairs = launch::part_of<Bfloat16>(call.workspace, layout.dy);
  auto* all_totals = launch::part_of<float>(call.workspace, layout.totals);
  launch::in_team(true, [&] {
    const launch::Tiles configured(kTileRows, kTileRows, launch::kTileSteps);
    const Index unit_totals = count * kSide * kSide;
    for (Index chunk = 0; chunk < layout.chunks; ++chunk) {
      spread_rows(grid, layout, chunk, x, rows);
      spread_pairs(grid, layout, chunk, dy, g.out, pairs);
#pragma omp for schedule(static)
      for (Index unit = 0; unit < units_of(g); ++unit) {
        const Index o = unit / (g.in / kSide) * kSide;  // dweight is written nearly from front to back
        const Index i = unit % (g.in / kSide) * kSide;
        float* totals = all_totals + (layout.chunks > 1 ? unit : omp_get_thread_num()) * unit_totals;
        // A row of taps at a time, whose totals stay in the first cache beside the factors.
        for (Index tap_row = 0; tap_row < count; tap_row += g.kernel) {
          for (Index group = 0; group < layout.groups; group += kGroups) {
            for (Index t = tap_row; t < tap_row + g.kernel; ++t) {
              const Index begin = group * kTileTerms + layout.before + grid.lead - taps[t].shift;  // of dy
              const Index copy = begin % 2;
              launch::multiply_tiles<2, 2>(
                  {.a = rows + i * row + taps[t].phase * layout.length + group * kTileTerms,
                   .a_row = row,
                   .a_block = kTileTerms,
                   .b = pairs + (copy * g.out + o) * layout.pairs * 2 + begin / 2 * 2 * kTileColumns,
                   .b_row = 2 * kTileColumns,
                   .b_block = kTileNumbers,
                   .b_tile = apart,
                   .c = totals + taps[t].tap * kSide * kSide,
                   .c_row = kSide,
                   .blocks = least(kGroups, layout.groups - group),
                   .accumulate = chunk + group > 0},
                  kTileRows);
            }
          }
        }
        if (chunk + 1 == layout.chunks) unpack(g, totals, i, o, dweight);
      }
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
    const Index pixels = ceil_divide(pixels_of(g), kTileTerms) * kTileTerms;
    const double moved = static_cast<double>(pixels * (gathered_terms(g) + g.out)) * sizeof(Bfloat16);
    return {.flops = 2 * static_cast<double>(pixels * gathered_terms(g) * g.out),
            .workspace_bytes = 2 * moved,
            .factors = DType::bf16};
  }
  const TileGrid grid = forward_grid(g);
  const Layout layout = layout_of(g, grid);
  return {.flops = 2 * static_cast<double>(layout.chunks * layout.groups * kTileTerms * taps_of(g)) *
                   static_cast<double>(g.in * g.out),
          .workspace_bytes = 0,  // all of it stays in caches
          .factors = DType::bf16};
}

}  // namespace
}  // namespace dermatome::conv2d

DERMATOME_CPU_TABLE(conv2d_tiles_weight_gradient, {"conv2d_weight_gradient", DType::bf16, conv2d::weight_gradient,
                                                   conv2d::workspace, conv2d::fits, true, conv2d::work})

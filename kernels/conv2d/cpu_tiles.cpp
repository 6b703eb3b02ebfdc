// conv2d, conv2d_fused and conv2d_data_gradient in bf16 as direct products of tiles (tile_grid.h), of weights that are
// kept as tiles. The data gradient is such a convolution of dy for each phase of dx.
#include "kernels/conv2d/epilogue.h"
#include "kernels/conv2d/tile_grid.h"
#include "kernels/launch/table.h"

namespace dermatome::conv2d {
namespace {

using launch::kTileColumns;
using launch::kTileNumbers;

constexpr Index kRowsAtOnce = 2 * kTileRows;
constexpr Index kColumnsAtOnce = 2 * kTileColumns;
constexpr Index kChunk = 16;  // pairs of tiles of a unit of work: their pixels stay in cache while weights go by

// --- weights: tiles[((column / 16 * taps + tap) * terms / 32 + term / 32) * 512], each 16 pairs of terms by 16 columns
// ---

Index tile_bytes(const Operand& weight) {
  return weight.elements * static_cast<Index>(sizeof(Bfloat16));
}
// Where a unit of work takes its numbers from and puts its tiles: 16 columns by 32 terms, all taps.
struct WeightTiles {
  const float* from;
  Bfloat16* to;
  Index out, in, taps;
};
WeightTiles weight_tiles_of(const Call& call) {
  const Operand& weight = call.inputs[0];
  return {static_cast<const float*>(weight.data), launch::out<Bfloat16>(call, 0), weight.extent[0], weight.extent[1],
          weight.extent[2] * weight.extent[3]};
}

// What reads the tiles comes later than the caches last.
void stream_pairs(Bfloat16* to, Vec first, Vec second) {
  launch::stream(reinterpret_cast<float*>(to), reinterpret_cast<Vec>(launch::round_pairs(first, second)));
}

// Columns are output channels, terms input channels.
void put_forward_tiles(const WeightTiles& w, Index column, Index block) {
  if constexpr (kLanes == kTileColumns) {
    alignas(64) float turned[kTileTerms * kMostTileTaps * kTileColumns];
    for (Index begin = 0; begin < kTileTerms * w.taps; begin += kLanes) {
      Vec rows[kLanes];
      for (Index lane = 0; lane < kLanes; ++lane) {
        rows[lane] = launch::load(w.from + ((column + lane) * w.in + block * kTileTerms) * w.taps + begin);
      }
      launch::transpose(rows);
      for (Index j = 0; j < kLanes; ++j) launch::store(turned + (begin + j) * kTileColumns, rows[j]);
    }
    for (Index tap = 0; tap < w.taps; ++tap) {
      Bfloat16* tile = w.to + ((column / kTileColumns * w.taps + tap) * (w.in / kTileTerms) + block) * kTileNumbers;
      for (Index i = 0; i < kTileTerms; i += 2) {
        stream_pairs(tile + i * kTileColumns, launch::load(turned + (i * w.taps + tap) * kTileColumns),
                     launch::load(turned + ((i + 1) * w.taps + tap) * kTileColumns));
      }
    }
  }
}

// Columns are input channels, terms output channels.
void put_data_gradient_tiles(const WeightTiles& w, Index column, Index block) {
  if constexpr (kLanes == kTileColumns) {
    for (Index o = 0; o < kTileTerms; o += 2) {
      const float* first = w.from + ((block * kTileTerms + o) * w.in + column) * w.taps;
      Vec even[kMostTileTaps];
      for_each_tap(first, w.taps, [&](Index tap, Vec weights) { even[tap] = weights; });
      for_each_tap(first + w.in * w.taps, w.taps, [&](Index tap, Vec weights) {
        stream_pairs(w.to + ((column / kTileColumns * w.taps + tap) * (w.out / kTileTerms) + block) * kTileNumbers +
                         o * kTileColumns,
                     even[tap], weights);
      });
    }
  }
}

// put(tiles, column, block) for all units that rows [first, first + count) of the weight are in.
using PutTiles = void (*)(const WeightTiles&, Index column, Index block);
template <PutTiles kPut, bool kRowsAreColumns>
void prepare_rows(const Call& call, Index first, Index count) {
  const WeightTiles w = weight_tiles_of(call);
  const Index columns = kRowsAreColumns ? first : 0;
  const Index last_column = kRowsAreColumns ? first + count : w.in;
  const Index blocks = kRowsAreColumns ? 0 : first / kTileTerms;
  const Index last_block = kRowsAreColumns ? w.in / kTileTerms : (first + count) / kTileTerms;
  for (Index column = columns; column < last_column; column += kTileColumns) {
    for (Index block = blocks; block < last_block; ++block) kPut(w, column, block);
  }
  launch::end_of_streams();
}

template <PutTiles kPut, bool kRowsAreColumns>
void prepare(const Call& call) {
  const WeightTiles w = weight_tiles_of(call);
  const Index blocks = (kRowsAreColumns ? w.in : w.out) / kTileTerms;
  const Index columns = (kRowsAreColumns ? w.out : w.in) / kTileColumns;
  launch::for_each_row(columns * blocks, kTileNumbers * w.taps, [=](Index unit) {
    kPut(w, unit / blocks * kTileColumns, unit % blocks);
    launch::end_of_streams();
  });
}

// --- activations ---

// Every position of the phases, zeros where no pixel is. Shared by the team.
void spread_pixels(const TileGrid& grid, const Bfloat16* x, Bfloat16* to) {
  const Index line = grid.row * grid.channels;
  const auto zero = [](Bfloat16* begin, Index count) {
    __builtin_memset(static_cast<void*>(begin), 0, static_cast<std::size_t>(count) * sizeof(Bfloat16));
  };
#pragma omp for schedule(static)
  for (Index unit = 0; unit < grid.phases * grid.n * grid.image_rows; ++unit) {
    const Index phase = unit / (grid.n * grid.image_rows);
    const Index row = unit % (grid.n * grid.image_rows);
    Bfloat16* of_phase = to + phase * grid.phase_pixels * grid.channels;
    Bfloat16* begin = of_phase + (grid.lead * grid.channels) + row * line;
    if (row == 0) zero(of_phase, grid.lead * grid.channels);
    if (row + 1 == grid.n * grid.image_rows) {
      zero(begin + line, (grid.phase_pixels - grid.lead - grid.positions()) * grid.channels);
    }
    const Index y = row % grid.image_rows * grid.stride + phase / grid.stride;
    const Index first = phase % grid.stride;
    Index filled = 0;
    if (y < grid.height && first < grid.width) {
      const Bfloat16* from = x + ((row / grid.image_rows * grid.height + y) * grid.width + first) * grid.channels;
      filled = ceil_divide(grid.width - first, grid.stride);
      const Index pixels_at_once = grid.stride == 1 ? filled : 1;
      for (Index pixel = 0; pixel < filled; pixel += pixels_at_once) {
        __builtin_memcpy(static_cast<void*>(begin + pixel * grid.channels), from + pixel * grid.stride * grid.channels,
                         static_cast<std::size_t>(pixels_at_once * grid.channels) * sizeof(Bfloat16));
      }
    }
    zero(begin + filled * grid.channels, line - filled * grid.channels);
  }
}

// Whether x is what would be spread out, and can be read in whole tiles.
bool lies_spread_out(const TileGrid& grid) {
  return grid.phases == 1 && grid.lead == 0 && grid.row == grid.width && grid.image_rows == grid.height &&
         grid.positions() % kTileRows == 0;
}

// Sums of 32 columns become what y holds of them; places: which pixel a row is, or -1.
template <typename Finish>
DERMATOME_HD void finish_sums(const float* sums, Index rows, const Index* places, Index column, Index out,
                              const Finish& finish, Bfloat16* y) {
  finish.visit([&](const auto& known) {
    for (Index v = 0; v < kColumnsAtOnce; v += kLanes) {
      const auto of_channels = known.at(column + v);
      for (Index r = 0; r < rows; ++r) {
        if (places[r] < 0) continue;
        const Index element = places[r] * out + column + v;
        launch::store(y + element, of_channels(launch::load(sums + r * kColumnsAtOnce + v), element));
      }
    }
  });
}

// One pass over sums of the grid: which taps, and where their outputs lie.
struct Pass {
  TileTap taps[kMostTileTaps];
  Index count;
};

// 32 positions (or 16, the last ones) by 32 columns.
template <typename Finish>
struct Sums {
  const TileGrid& grid;
  const Pass& pass;
  const Bfloat16* spread;
  const Bfloat16* tiles;
  Index all_taps, out;
  Bfloat16* y;
  const Finish& finish;
  PixelsOfPhase outputs;

  template <int kRows>
  void add(Index tile, Position& position, Index column) const {
    const Index terms = grid.channels;
    const Index blocks = terms / kTileTerms;
    alignas(64) float sums[kRowsAtOnce * kColumnsAtOnce];
    launch::zero_sums<kRows, 2>();
    const Index tile_step = all_taps * blocks * kTileNumbers;
    const Bfloat16* of_column = tiles + column / kTileColumns * tile_step;
    for (Index t = 0; t < pass.count; ++t) {
      const Bfloat16* a = spread + (tile * kTileRows + pass.taps[t].shift) * terms;
      launch::add_products<kRows, 2>(a, a + kTileRows * terms, terms, kTileTerms,
                                     of_column + pass.taps[t].tap * blocks * kTileNumbers, 2 * kTileColumns,
                                     kTileNumbers, tile_step, blocks);
    }
    launch::store_sums<kRows, 2>(sums, sums + kTileRows * kColumnsAtOnce, kColumnsAtOnce);
    Index places[kRowsAtOnce];
    for (Index r = 0; r < kRows * kTileRows; ++r) {
      places[r] = outputs.at(position);
      position.next(grid);
    }
    finish_sums(sums, kRows * kTileRows, places, column, out, finish, y);
  }

  // Shared by the team: columns first, so that a thread keeps to few weights.
  void all() const {
    const Index pairs = ceil_divide(grid.tiles(), 2);
    const Index chunks = ceil_divide(pairs, kChunk);
    const launch::Tiles configured(kTileRows, kTileRows, launch::kTileSteps);
#pragma omp for schedule(static)
    for (Index unit = 0; unit < out / kColumnsAtOnce * chunks; ++unit) {
      const Index column = unit / chunks * kColumnsAtOnce;
      const Index first = unit % chunks * kChunk;
      Position position = Position::at(grid, first * kRowsAtOnce);
      for (Index pair = first; pair < least(first + kChunk, pairs); ++pair) {
        if (2 * pair + 1 < grid.tiles()) {
          add<2>(2 * pair, position, column);
        } else {
          add<1>(2 * pair, position, column);
        }
      }
    }
  }
};

template <typename Finish>
void convolve(const Geometry& g, const Bfloat16* x, const Bfloat16* tiles, const Finish& finish, Bfloat16* y,
              void* workspace) {
  const TileGrid grid = forward_grid(g);
  Pass pass{};
  pass.count = forward_taps(g, grid, grid.phase_pixels, pass.taps);
  auto* spread = static_cast<Bfloat16*>(workspace);
  const bool copies = !lies_spread_out(grid);
  launch::in_team(true, [&] {
    if (copies) spread_pixels(grid, x, spread);
    const TileGrid mine = grid;
    const Pass my_pass = pass;
    const Finish my_finish = finish;
    Sums<Finish>{mine, my_pass, copies ? spread : x, tiles, pass.count, g.out, y, my_finish, pixels_of_sums(mine)}
        .all();
  });
}

Index workspace_of(const TileGrid& grid) {
  return lies_spread_out(grid) ? 0 : spread_bytes(grid);
}

void forward(const Call& call) {
  const float* bias = call.input_count > 2 ? launch::in<float>(call, 2) : nullptr;
  convolve(forward_geometry(call), launch::in<Bfloat16>(call, 0), launch::in<Bfloat16>(call, 1), AddBias{bias},
           launch::out<Bfloat16>(call, 0), call.workspace);
}
void fused(const Call& call) {
  convolve(forward_geometry(call), launch::in<Bfloat16>(call, kX), launch::in<Bfloat16>(call, kWeight),
           epilogue_of<Bfloat16>(call), launch::out<Bfloat16>(call, 0), call.workspace);
}
// oneDNN's direct convolutions serve the other channels, as those of photographs.
bool fits_forward(const Call& call) {
  const Geometry g = forward_geometry(call);
  return call.outputs[0].type == call.inputs[0].type && has_whole_blocks(g.in) && fits_tiles(g);
}
Index forward_workspace(const Call& call) {
  return workspace_of(forward_grid(forward_geometry(call)));
}

Work work_of(const Geometry& g, const TileGrid& grid, double passes) {
  return {.flops = 2 * passes * static_cast<double>(grid.tiles() * kTileRows * g.in * g.out),
          .workspace_bytes = 2 * static_cast<double>(workspace_of(grid)),
          .factors = DType::bf16};
}
Work forward_work(const Call& call) {
  const Geometry g = forward_geometry(call);
  return work_of(g, forward_grid(g), static_cast<double>(g.kernel * g.kernel));
}

// --- data gradient: dx at (stride * y + a, stride * x + b) is a convolution of dy for each of the phases (a, b) ---

Index sums_of_phases(const Geometry& g, Index size) {
  return ceil_divide(size, g.stride);
}

TileGrid data_gradient_grid(const Geometry& g) {
  return tile_grid(g.n, g.out_height, g.out_width, g.out, 1, sums_of_phases(g, g.height), sums_of_phases(g, g.width),
                   floor_divide(g.pad - g.kernel + 1, g.stride), floor_divide(g.stride - 1 + g.pad, g.stride));
}

// The taps that reach pixels (a, b) of each stride by stride.
Pass taps_of_phase(const Geometry& g, const TileGrid& grid, Index a, Index b) {
  Pass pass{};
  for (Index tap = 0; tap < g.kernel * g.kernel; ++tap) {
    const Index y = a + g.pad - tap / g.kernel;
    const Index x = b + g.pad - tap % g.kernel;
    if (floor_divide(y, g.stride) * g.stride != y || floor_divide(x, g.stride) * g.stride != x) continue;
    pass.taps[pass.count++] = {tap, 0, grid.lead + floor_divide(y, g.stride) * grid.row + floor_divide(x, g.stride)};
  }
  return pass;
}

void data_gradient(const Call& call) {
  const Geometry g = data_gradient_geometry(call);
  const TileGrid grid = data_gradient_grid(g);
  const auto* dy = launch::in<Bfloat16>(call, 0);
  auto* spread = static_cast<Bfloat16*>(call.workspace);
  const bool copies = !lies_spread_out(grid);
  const AddBias nothing{nullptr};
  launch::in_team(true, [&] {
    if (copies) spread_pixels(grid, dy, spread);
    const TileGrid mine = grid;
    for (Index phase = 0; phase < g.stride * g.stride; ++phase) {
      const Index a = phase / g.stride;
      const Index b = phase % g.stride;
      const Pass pass = taps_of_phase(g, mine, a, b);
      Sums<AddBias>{mine,
                    pass,
                    copies ? spread : dy,
                    launch::in<Bfloat16>(call, 1),
                    g.kernel * g.kernel,
                    g.in,
                    launch::out<Bfloat16>(call, 0),
                    nothing,
                    {g.n, g.height, g.width, g.stride, a, b}}
          .all();
    }
  });
}
bool fits_data_gradient(const Call& call) {
  const Geometry g = data_gradient_geometry(call);
  return has_whole_blocks(g.in) && fits_tiles(g);
}
Index data_gradient_workspace(const Call& call) {
  return workspace_of(data_gradient_grid(data_gradient_geometry(call)));
}
Work data_gradient_work(const Call& call) {
  const Geometry g = data_gradient_geometry(call);
  return work_of(g, data_gradient_grid(g), static_cast<double>(g.kernel * g.kernel));
}

// Blocks of rows that are whole tiles of columns as well as of terms, so that one update serves both.
constexpr FunctionPreparation kForwardTiles{.input = 1,
                                            .layout = "bf16 tiles by output channels",
                                            .bytes = tile_bytes,
                                            .run = prepare<put_forward_tiles, true>,
                                            .rows_at_a_time = kTileTerms,
                                            .run_rows = prepare_rows<put_forward_tiles, true>};
constexpr FunctionPreparation kDataGradientTiles{.input = 1,
                                                 .layout = "bf16 tiles by input channels",
                                                 .bytes = tile_bytes,
                                                 .run = prepare<put_data_gradient_tiles, false>,
                                                 .rows_at_a_time = kTileTerms,
                                                 .run_rows = prepare_rows<put_data_gradient_tiles, false>};

}  // namespace
}  // namespace dermatome::conv2d

DERMATOME_CPU_TABLE(conv2d_tiles,
                    {"conv2d", DType::bf16, conv2d::forward, conv2d::forward_workspace, conv2d::fits_forward, true,
                     conv2d::forward_work, &conv2d::kForwardTiles},
                    {"conv2d_fused", DType::bf16, conv2d::fused, conv2d::forward_workspace, conv2d::fits_forward, true,
                     conv2d::forward_work, &conv2d::kForwardTiles},
                    {"conv2d_data_gradient", DType::bf16, conv2d::data_gradient, conv2d::data_gradient_workspace,
                     conv2d::fits_data_gradient, true, conv2d::data_gradient_work, &conv2d::kDataGradientTiles})

// Direct convolutions as products of tiles (launch/tiles.h). An image's rows lie one behind the other with as many
// zeros between rows, and zero rows between images, as windows reach beyond them: then what lies under one tap of 16
// neighbouring outputs is a tile whose rows are one pixel apart, for every tap at another distance. A step of `stride`
// takes every stride-th row and column apart (a phase), so that neighbours stay neighbours.
#pragma once

#include "kernels/conv2d/product.h"
#include "kernels/launch/processor.h"
#include "kernels/launch/tiles.h"
#include "kernels/launch/workspace.h"

namespace dermatome::conv2d {
inline namespace DERMATOME_ISA {

using launch::Bfloat16;
using launch::Index;
using launch::kTileRows;
using launch::kTileTerms;

constexpr Index kMostTileTaps = 49;
constexpr Index kMostPhases = 9;

// Where a tap finds its pixels: `shift` positions behind that of the sum.
struct TileTap {
  Index tap;  // ky * kernel + kx
  Index phase;
  Index shift;  // with that of the phase
};

// What lies under windows, spread out: position (phase * phase_pixels + lead + (image * image_rows + y) * row + x)
// holds pixel (stride * y + its row of the phase, ...). Sums are had for positions (image * image_rows + y) * row + x,
// of which those with y < rows and x < columns are meant.
struct TileGrid {
  Index n, height, width, channels;  // of the tensor that is spread out
  Index stride;                      // between pixels of a phase
  Index phases;                      // stride * stride
  Index row, image_rows, lead, phase_pixels;
  Index reach;          // of the farthest tap
  Index rows, columns;  // of the sums

  DERMATOME_HD Index positions() const { return n * image_rows * row; }
  DERMATOME_HD Index tiles() const { return ceil_divide(positions(), kTileRows); }
};

DERMATOME_HD Index floor_divide(Index a, Index b) {
  return a >= 0 ? a / b : -((b - 1 - a) / b);
}

// `low` and `high`: the least and the greatest distance of a tap, in rows and in columns of a phase. Behind the last
// position a whole tile can be read at any of them.
inline TileGrid tile_grid(Index n, Index height, Index width, Index channels, Index stride, Index rows, Index columns,
                          Index low, Index high) {
  const Index before = low < 0 ? -low : 0;
  const auto apart = [&](Index size, Index sums) {
    const Index with_zeros = ceil_divide(size, stride) + before;
    return with_zeros > sums + high ? with_zeros : sums + high;
  };
  TileGrid grid{.n = n,
                .height = height,
                .width = width,
                .channels = channels,
                .stride = stride,
                .phases = stride * stride,
                .row = apart(width, columns),
                .image_rows = apart(height, rows),
                .lead = 0,
                .phase_pixels = 0,
                .reach = 0,
                .rows = rows,
                .columns = columns};
  grid.lead = before * (grid.row + 1);
  grid.reach = (before + high) * (grid.row + 1);
  grid.phase_pixels = grid.tiles() * kTileRows + grid.reach;
  return grid;
}

// That of a forward convolution: x spread out, sums of y.
inline TileGrid forward_grid(const Geometry& g) {
  return tile_grid(g.n, g.height, g.width, g.in, g.stride, g.out_height, g.out_width, floor_divide(-g.pad, g.stride),
                   floor_divide(g.kernel - 1 - g.pad, g.stride));
}

// The taps of forward_grid, whose phases lie `apart`; returns how many there are.
inline Index forward_taps(const Geometry& g, const TileGrid& grid, Index apart, TileTap* taps) {
  for (Index tap = 0; tap < g.kernel * g.kernel; ++tap) {
    const Index from_y = tap / g.kernel - g.pad;
    const Index from_x = tap % g.kernel - g.pad;
    const Index y = floor_divide(from_y, g.stride);
    const Index x = floor_divide(from_x, g.stride);
    const Index phase = (from_y - y * g.stride) * g.stride + from_x - x * g.stride;
    taps[tap] = {tap, phase, phase * apart + grid.lead + y * grid.row + x};
  }
  return g.kernel * g.kernel;
}

// Walks from position to position.
struct Position {
  Index image, y, x;  // x in [0, row), y in [0, image_rows); an image of -1 or of n lies outside

  DERMATOME_HD static Position at(const TileGrid& grid, Index position) {
    const Index row = floor_divide(position, grid.row);
    const Index image = floor_divide(row, grid.image_rows);
    return {image, row - image * grid.image_rows, position - row * grid.row};
  }
  DERMATOME_HD void next(const TileGrid& grid) {
    if (++x < grid.row) return;
    x = 0;
    if (++y < grid.image_rows) return;
    y = 0;
    ++image;
  }
};

// Which pixels of a tensor of height by width positions stand for: every step-th from (first_row, first_column) on.
struct PixelsOfPhase {
  Index n, height, width, step, first_row, first_column;

  // Which pixel, or -1 where none is.
  DERMATOME_HD Index at(const Position& p) const {
    const Index y = p.y * step + first_row;
    const Index x = p.x * step + first_column;
    return p.image >= 0 && p.image < n && y < height && x < width ? (p.image * height + y) * width + x : -1;
  }
};

// Those that are spread out.
DERMATOME_HD PixelsOfPhase pixels_of_phase(const TileGrid& grid, Index phase) {
  return {grid.n, grid.height, grid.width, grid.stride, phase / grid.stride, phase % grid.stride};
}
// Those of the sums.
DERMATOME_HD PixelsOfPhase pixels_of_sums(const TileGrid& grid) {
  return {grid.n, grid.rows, grid.columns, 1, 0, 0};
}

// Bytes of what is spread out.
inline Index spread_bytes(const TileGrid& grid) {
  return grid.phases * grid.phase_pixels * grid.channels * static_cast<Index>(sizeof(Bfloat16));
}

// Whether all channels of a tap are whole blocks of terms.
DERMATOME_HD bool has_whole_blocks(Index channels) {
  return channels % kTileTerms == 0;
}

// Pairs of tiles of outputs.
inline bool fits_tiles(const Geometry& g) {
  return launch::has_bf16_matrix_unit() && has_whole_blocks(g.out) && g.kernel * g.kernel <= kMostTileTaps &&
         g.stride * g.stride <= kMostPhases;
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::conv2d

// Products of bf16 tiles (AMX): 16 rows of 32 terms times 32 terms of 16 columns, summed in f32. Only where
// has_bf16_matrix_unit(); elsewhere the functions are there and do nothing.
#pragma once

#include <cstdint>

#include "kernels/launch/simd.h"

namespace dermatome::launch {
inline namespace DERMATOME_ISA {

using Index = std::int64_t;

constexpr Index kTileRows = 16;     // of a, and of sums
constexpr Index kTileSteps = 16;    // pairs of terms
constexpr Index kTileColumns = 16;  // of b, and of sums
constexpr Index kTileTerms = 2 * kTileSteps;
constexpr Index kTileNumbers = kTileTerms * kTileColumns;  // of a tile of b

// Sums of up to 2 x 2 tiles. Of a: block k of row r lies at a[r * a_row + k * a_block], its terms one behind the other.
// Of b: step s (two terms) of block k and 16 columns at b[tile * b_tile + k * b_block + s * b_row], the two terms of a
// column side by side. c[r * c_row + column].
struct TileProduct {
  const Bfloat16* a;
  Index a_row, a_block;
  const Bfloat16* b;
  Index b_row, b_block, b_tile;
  float* c;
  Index c_row;
  Index blocks;
  bool accumulate;  // c += a b instead of c = a b
};

#if defined(__AMX_BF16__)

// How the registers are divided for the calling thread: sums of both rows of tiles in 0 to 3, a in 4 and 5, b in 6 and
// 7. `rows` and `more`: of the first row of tiles and of the second, 1 to 16 (or 0: none); `steps`: of a block.
class Tiles {
 public:
  Tiles(Index rows, Index more, Index steps) {
    struct alignas(64) Configuration {
      std::uint8_t palette = 1, start_row = 0;
      std::uint8_t reserved[14] = {};
      std::uint16_t row_bytes[16] = {};
      std::uint8_t rows[16] = {};
    };
    Configuration wanted;
    const auto of = [&](int tile, Index tile_rows, Index bytes) {
      wanted.row_bytes[tile] = static_cast<std::uint16_t>(bytes);
      wanted.rows[tile] = static_cast<std::uint8_t>(tile_rows);
    };
    of(0, rows, 64);
    of(1, rows, 64);
    of(4, rows, 4 * steps);
    of(6, steps, 64);
    of(7, steps, 64);
    const Index second = more > 0 ? more : rows;
    of(2, second, 64);
    of(3, second, 64);
    of(5, second, 4 * steps);
    asm volatile("ldtilecfg %0" ::"m"(wanted));
  }
  ~Tiles() { asm volatile("tilerelease"); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

// kRows and kColumns: of tiles, 1 or 2. The sums of kRows x kColumns tiles: zero, from memory, to memory; `below`:
// where the second row of tiles begins.
template <int kRows, int kColumns>
DERMATOME_HD void zero_sums() {
  _tile_zero(0);
  if constexpr (kColumns > 1) _tile_zero(1);
  if constexpr (kRows > 1) _tile_zero(2);
  if constexpr (kRows > 1 && kColumns > 1) _tile_zero(3);
}
template <int kRows, int kColumns>
DERMATOME_HD void load_sums(const float* c, const float* below, Index c_row) {
  _tile_loadd(0, c, 4 * c_row);
  if constexpr (kColumns > 1) _tile_loadd(1, c + kTileColumns, 4 * c_row);
  if constexpr (kRows > 1) _tile_loadd(2, below, 4 * c_row);
  if constexpr (kRows > 1 && kColumns > 1) _tile_loadd(3, below + kTileColumns, 4 * c_row);
}
template <int kRows, int kColumns>
DERMATOME_HD void store_sums(float* c, float* below, Index c_row) {
  _tile_stored(0, c, 4 * c_row);
  if constexpr (kColumns > 1) _tile_stored(1, c + kTileColumns, 4 * c_row);
  if constexpr (kRows > 1) _tile_stored(2, below, 4 * c_row);
  if constexpr (kRows > 1 && kColumns > 1) _tile_stored(3, below + kTileColumns, 4 * c_row);
}

// sums += the products of `blocks` blocks; a_below: the second row of tiles.
template <int kRows, int kColumns>
DERMATOME_HD void add_products(const Bfloat16* a, const Bfloat16* a_below, Index a_row, Index a_block,
                               const Bfloat16* b, Index b_row, Index b_block, Index b_tile, Index blocks) {
  for (Index block = 0; block < blocks; ++block) {
    _tile_loadd(6, b, 2 * b_row);
    _tile_loadd(4, a, 2 * a_row);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kRows > 1) {
      _tile_loadd(5, a_below, 2 * a_row);
      _tile_dpbf16ps(2, 5, 6);
    }
    if constexpr (kColumns > 1) {
      _tile_loadd(7, b + b_tile, 2 * b_row);
      _tile_dpbf16ps(1, 4, 7);
      if constexpr (kRows > 1) _tile_dpbf16ps(3, 5, 7);
    }
    a += a_block;
    a_below += a_block;
    b += b_block;
  }
}

#else

class Tiles {
 public:
  Tiles(Index, Index, Index) {}
};
template <int kRows, int kColumns>
DERMATOME_HD void zero_sums() {}
template <int kRows, int kColumns>
DERMATOME_HD void load_sums(const float*, const float*, Index) {}
template <int kRows, int kColumns>
DERMATOME_HD void store_sums(float*, float*, Index) {}
template <int kRows, int kColumns>
DERMATOME_HD void add_products(const Bfloat16*, const Bfloat16*, Index, Index, const Bfloat16*, Index, Index, Index,
                               Index) {}

#endif

// `first_rows`: of the first row of tiles.
template <int kRows, int kColumns>
inline void multiply_tiles(const TileProduct& p, Index first_rows) {
  float* below = p.c + first_rows * p.c_row;
  if (p.accumulate) {
    load_sums<kRows, kColumns>(p.c, below, p.c_row);
  } else {
    zero_sums<kRows, kColumns>();
  }
  add_products<kRows, kColumns>(p.a, p.a + first_rows * p.a_row, p.a_row, p.a_block, p.b, p.b_row, p.b_block, p.b_tile,
                                p.blocks);
  store_sums<kRows, kColumns>(p.c, below, p.c_row);
}

// `columns`: 16 or 32; `more_rows` of a second row of tiles, or 0. Within a Tiles of these rows.
DERMATOME_HD void multiply_tile_block(const TileProduct& p, Index rows, Index more_rows, Index columns) {
  if (more_rows > 0) return columns > kTileColumns ? multiply_tiles<2, 2>(p, rows) : multiply_tiles<2, 1>(p, rows);
  return columns > kTileColumns ? multiply_tiles<1, 2>(p, rows) : multiply_tiles<1, 1>(p, rows);
}

// 32 pixels (each a pair of lanes) of so many channels, as rows of tiles of a: those of a channel lie one behind the
// other from to[channel * row] on. at(p, channel): 16 channels of pixel p, or null for zeros.
template <typename At>
inline void put_rows(Index channels, const At& at, Bfloat16* to, Index row) {
  if constexpr (kLanes == kTileSteps) {
    for (Index channel = 0; channel < channels; channel += kLanes) {
      Vec pairs[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        const Bfloat16* first = at(2 * i, channel);
        const Bfloat16* second = at(2 * i + 1, channel);
        const auto bits = [](const Bfloat16* from) { return from != nullptr ? load_bits(from) : VecBits{}; };
        pairs[i] = reinterpret_cast<Vec>(bits(first) | bits(second) << 16);
      }
      transpose(pairs);
      for (int c = 0; c < kLanes; ++c) store_pairs(to + (channel + c) * row, reinterpret_cast<VecBits>(pairs[c]));
    }
  }
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::launch

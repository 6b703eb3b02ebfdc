// Matrix products of row-major blocks that lie in cache, for kernels that work on them in between (Winograd). Each
// element of c is one chain of multiply-adds in the order of k, so results do not depend on how a caller splits rows or
// columns.
#pragma once

#include <type_traits>

#include "kernels/launch/processor.h"
#include "kernels/launch/simd.h"
#include "kernels/launch/tiles.h"

namespace dermatome::launch {
inline namespace DERMATOME_ISA {

using Index = std::int64_t;

// Registers of a block of c: rows x columns. AVX-512 has 32 of them, the others 16.
constexpr int kBlockRows = 6;
#if defined(__AVX512F__)
constexpr int kBlockColumns = 4;
#else
constexpr int kBlockColumns = 2;
#endif
// The widest panel of b, in floats.
constexpr Index kPanel = kBlockColumns * kLanes;

// What a step of a sum multiplies: one term of f32 factors, or two of bf16 ones, which lie side by side. Sums are f32.
template <typename T>
struct Factors;

template <>
struct Factors<float> {
  using Register = Vec;
  DERMATOME_HD static Register of_columns(const float* b) { return load(b); }
  DERMATOME_HD static Register of_row(const float* a) { return broadcast(*a); }
  DERMATOME_HD static Vec multiply_add(Register a, Register b, Vec sum) { return launch::multiply_add(a, b, sum); }
};

template <>
struct Factors<Bfloat16> {
  using Register = VecBits;
  DERMATOME_HD static Register of_columns(const Bfloat16* b) { return load_pairs(b); }
  DERMATOME_HD static Register of_row(const Bfloat16* a) { return broadcast_pair(a); }
  DERMATOME_HD static Vec multiply_add(Register a, Register b, Vec sum) { return multiply_add_pairs(a, b, sum); }
};

// Terms of a step.
template <typename T>
constexpr Index kTerms = sizeof(float) / sizeof(T);

// a: the terms of step k in a row at a[row * a_row + k * a_step]; b: those of a column at b[k * b_row + column *
// kTerms]; c: its element at c[row * c_row + column].
template <typename T>
struct ProductOf {
  const T* a;
  Index a_row, a_step;
  const T* b;
  Index b_row;
  float* c;
  Index c_row;
  Index depth;      // steps
  bool accumulate;  // c += a b instead of c = a b
};
using Product = ProductOf<float>;

// What is done to the sums of c before they are stored; at(column) is asked for each register of a row. Where what it
// gives has put(row, sum), the sums are left to that and c is not written.
struct Unchanged {
  struct Columns {
    DERMATOME_HD Vec operator()(Vec sum, Index) const { return sum; }
  };
  DERMATOME_HD Columns at(Index) const { return {}; }
};

template <int Rows, int Columns, typename T, typename Finish>
DERMATOME_HD void multiply_block(const ProductOf<T>& p, Index row, const Finish& finish) {
  using Register = typename Factors<T>::Register;
  const T* a = p.a + row * p.a_row;
  const T* b = p.b;
  float* c = p.c + row * p.c_row;
  const Index a_row = p.a_row;
  Vec sum[Rows][Columns];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Columns; ++v) sum[r][v] = p.accumulate ? load(c + r * p.c_row + v * kLanes) : Vec{};
  }
  for (Index k = 0; k < p.depth; ++k) {
    Register right[Columns];
#pragma GCC unroll 4
    for (int v = 0; v < Columns; ++v) right[v] = Factors<T>::of_columns(b + v * kLanes * kTerms<T>);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const Register left = Factors<T>::of_row(a + r * a_row);
#pragma GCC unroll 4
      for (int v = 0; v < Columns; ++v) sum[r][v] = Factors<T>::multiply_add(left, right[v], sum[r][v]);
    }
    a += p.a_step;
    b += p.b_row;
  }
#pragma GCC unroll 4
  for (int v = 0; v < Columns; ++v) {
    const auto columns = finish.at(v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      if constexpr (requires { columns.put(row, sum[0][0]); }) {
        columns.put(row + r, sum[r][v]);
      } else {
        const Index element = (row + r) * p.c_row + v * kLanes;
        store(p.c + element, columns(sum[r][v], element));
      }
    }
  }
}

// Rows in blocks of nearly equal height: a low last block would wait for its loads.
template <int Columns, typename T, typename Finish>
inline __attribute__((noinline)) void multiply_rows(const ProductOf<T>& p, Index rows, const Finish& finish) {
  const Index blocks = (rows + kBlockRows - 1) / kBlockRows;
  for (Index block = 0, row = 0; block < blocks; ++block) {
    const Index height = (rows - row + blocks - block - 1) / (blocks - block);
    switch (height) {
      case 6: multiply_block<6, Columns>(p, row, finish); break;
      case 5: multiply_block<5, Columns>(p, row, finish); break;
      case 4: multiply_block<4, Columns>(p, row, finish); break;
      case 3: multiply_block<3, Columns>(p, row, finish); break;
      case 2: multiply_block<2, Columns>(p, row, finish); break;
      default: multiply_block<1, Columns>(p, row, finish); break;
    }
    row += height;
  }
}

// Two rows of tiles at a time and 32 columns; what `finish` is to do is done to a copy of the sums in cache. The steps
// of a row of a lie one behind the other.
template <typename Finish>
inline __attribute__((noinline)) void multiply_in_tiles(const ProductOf<Bfloat16>& p, Index rows, Index columns,
                                                        const Finish& finish) {
  constexpr Index kRows = 2 * kTileRows;
  constexpr Index kColumns = 2 * kTileColumns;
  Index steps = p.depth < kTileSteps ? p.depth : kTileSteps;
  while (p.depth % steps != 0) --steps;  // blocks are of one size
  alignas(64) float sums[kRows * kColumns];
  for (Index row = 0; row < rows;) {
    // Whole blocks under one configuration, then what is left.
    const Index left = rows - row;
    const Index first = left < kTileRows ? left : kTileRows;
    const Index more = left >= kRows ? kTileRows : left - first;
    const Index end = left >= kRows ? row + left / kRows * kRows : rows;
    const Tiles tiles(first, more, steps);
    for (; row < end; row += first + more) {
      for (Index column = 0; column < columns; column += kColumns) {
        const Index width = columns - column < kColumns ? columns - column : kColumns;
        float* c = p.c + row * p.c_row + column;
        constexpr bool kPuts = requires {
          finish.at(0).put(0, Vec{});
        };
        constexpr bool kStores = std::is_same_v<Finish, Unchanged>;
        TileProduct product{.a = p.a + row * p.a_row,
                            .a_row = p.a_row,
                            .a_block = steps * p.a_step,
                            .b = p.b + 2 * column,
                            .b_row = p.b_row,
                            .b_block = steps * p.b_row,
                            .b_tile = 2 * kTileColumns,
                            .c = c,
                            .c_row = p.c_row,
                            .blocks = p.depth / steps,
                            .accumulate = p.accumulate};
        if constexpr (!kStores) {
          product.c = sums;
          product.c_row = kColumns;
          if (p.accumulate) {
            for (Index r = 0; r < first + more; ++r) {
              for (Index v = 0; v < width; v += kLanes) store(sums + r * kColumns + v, load(c + r * p.c_row + v));
            }
          }
        }
        multiply_tile_block(product, first, more, width);
        if constexpr (kStores) continue;
        for (Index v = 0; v < width; v += kLanes) {
          const auto finished = finish.at(column + v);
          for (Index r = 0; r < first + more; ++r) {
            const Vec sum = load(sums + r * kColumns + v);
            if constexpr (kPuts) {
              finished.put(row + r, sum);
            } else {
              const Index element = (row + r) * p.c_row + column + v;
              store(p.c + element, finished(sum, element));
            }
          }
        }
      }
    }
  }
}

template <typename T, typename Finish>
DERMATOME_HD void multiply_columns(const ProductOf<T>& p, Index rows, Index columns, const Finish& finish) {
  if constexpr (std::is_same_v<T, Bfloat16>) {
    if (p.a_step == kTerms<T> && has_bf16_matrix_unit()) return multiply_in_tiles(p, rows, columns, finish);
  }
  switch (columns / kLanes) {
    case 1: return multiply_rows<1>(p, rows, finish);
    case 2: return multiply_rows<2>(p, rows, finish);
#if defined(__AVX512F__)
    case 3: return multiply_rows<3>(p, rows, finish);
    case 4: return multiply_rows<4>(p, rows, finish);
#endif
    default: return;
  }
}

// One panel: `columns` is a multiple of kLanes and at most kPanel.
template <typename Finish = Unchanged>
DERMATOME_HD void multiply_panel(const Product& p, Index rows, Index columns, const Finish& finish = {}) {
  multiply_columns(p, rows, columns, finish);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::launch

// Sums over rows, for each channel, that stay in registers while rows go by: a plain loop along channels would load and
// store every sum once a row.
#pragma once

#include "kernels/launch/cpu.h"
#include "kernels/launch/simd.h"

namespace dermatome::launch {
inline namespace DERMATOME_ISA {

// Adds to what lies in `to`.
template <int Registers, int Terms, typename F>
DERMATOME_HD void add_rows(Index begin, Index end, Index first, Index channels, const F& terms, float* to) {
  Vec sum[Registers][Terms];
#pragma GCC unroll 4
  for (int r = 0; r < Registers; ++r) {
#pragma GCC unroll 2
    for (int t = 0; t < Terms; ++t) sum[r][t] = load(to + t * channels + first + r * kLanes);
  }
  for (Index row = begin; row < end; ++row) {
#pragma GCC unroll 4
    for (int r = 0; r < Registers; ++r) {
      Vec added[Terms];
      terms(row, first + r * kLanes, added);
#pragma GCC unroll 2
      for (int t = 0; t < Terms; ++t) sum[r][t] += added[t];
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < Registers; ++r) {
#pragma GCC unroll 2
    for (int t = 0; t < Terms; ++t) store(to + t * channels + first + r * kLanes, sum[r][t]);
  }
}

// to[term * channels + channel]: the sums over rows [begin, end) of what terms(row, channel, Vec[Terms]) gives for
// kLanes channels at a time, in the order of the rows. `channels` is a multiple of kLanes. A few rows at a time, so
// that memory is read nearly in order.
template <int Terms, typename F>
DERMATOME_HD void sum_rows(Index begin, Index end, Index channels, const F& terms, float* to) {
  constexpr int kRegisters = 4;
  constexpr Index kRows = 16;
  for (Index c = 0; c < Terms * channels; ++c) to[c] = 0;
  for (Index row = begin; row < end; row += kRows) {
    const Index last = row + kRows < end ? row + kRows : end;
    Index first = 0;
    for (; first + kRegisters * kLanes <= channels; first += kRegisters * kLanes) {
      add_rows<kRegisters, Terms>(row, last, first, channels, terms, to);
    }
    for (; first < channels; first += kLanes) add_rows<1, Terms>(row, last, first, channels, terms, to);
  }
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::launch

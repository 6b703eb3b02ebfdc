// Sums over rows, for each channel, that stay in registers while rows go by: a plain loop along channels would load and
// store every sum once a row.
#pragma once

#include "kernels/launch/cpu.h"
#include "kernels/launch/simd.h"

namespace dermatome::launch {
inline namespace DERMATOME_ISA {

template <int Registers, int Terms, typename F>
DERMATOME_HD void sum_rows_of(Index begin, Index end, Index first, Index channels, const F& terms, float* to) {
  Vec sum[Registers][Terms] = {};
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
// kLanes channels at a time, in the order of the rows. `channels` is a multiple of kLanes.
template <int Terms, typename F>
DERMATOME_HD void sum_rows(Index begin, Index end, Index channels, const F& terms, float* to) {
  constexpr int kRegisters = 4;
  Index first = 0;
  for (; first + kRegisters * kLanes <= channels; first += kRegisters * kLanes) {
    sum_rows_of<kRegisters, Terms>(begin, end, first, channels, terms, to);
  }
  for (; first < channels; first += kLanes) sum_rows_of<1, Terms>(begin, end, first, channels, terms, to);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::launch

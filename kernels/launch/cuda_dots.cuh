// Sums along the channels of each row on CUDA: products of a wide row with a few vectors, which no matrix product
// serves well. Device and host body split and add alike; see cuda.cuh.
#pragma once

#include "kernels/launch/cuda.cuh"

namespace dermatome::launch::cuda {

constexpr int kRowsOfGroup = 4;

template <int Terms>
struct RowSums {
  float term[kRowsOfGroup][Terms];
};

// What one of the `lanes` lanes of a group adds up: every `lanes`-th pack of N channels of the group's rows. What
// before() gives for a pack serves all these rows.
template <int Terms, int N, typename Before, typename Load>
DERMATOME_HD RowSums<Terms> sum_packs(Index first_row, Index rows, Index channels, int lane, int lanes,
                                      const Before& before, const Load& load) {
  RowSums<Terms> sums;
  for (auto& row : sums.term) {
    for (float& term : row) term = 0;
  }
  for (Index channel = static_cast<Index>(lane) * N; channel < channels; channel += static_cast<Index>(lanes) * N) {
    const auto kept = before(channel);
    for (int r = 0; r < kRowsOfGroup; ++r) {
      if (first_row + r < rows) load(first_row + r, channel, kept, sums.term[r]);
    }
  }
  return sums;
}

template <int Terms, int N, typename Before, typename Load, typename Store>
__global__ void row_sums_kernel(Index rows, Index channels, Before before, Load load, Store store) {
  const int lanes = static_cast<int>(blockDim.x);
  const Index first_row = (static_cast<Index>(blockIdx.x) * blockDim.y + threadIdx.y) * kRowsOfGroup;
  auto sums = sum_packs<Terms, N>(first_row, rows, channels, static_cast<int>(threadIdx.x), lanes, before, load);
  for (int offset = lanes / 2; offset > 0; offset /= 2) {
    for (auto& row : sums.term) {
      for (float& term : row) term += __shfl_xor_sync(0xffffffffU, term, offset, lanes);
    }
  }
  if (threadIdx.x > 0) return;
  for (int r = 0; r < kRowsOfGroup; ++r) {
    if (first_row + r < rows) store(first_row + r, sums.term[r]);
  }
}

template <int Terms, int N, typename Before, typename Load, typename Store>
void row_sums_on_host(Index rows, Index channels, int lanes, const Before& before, const Load& load,
                      const Store& store) {
  for (Index first_row = 0; first_row < rows; first_row += kRowsOfGroup) {
    RowSums<Terms> sums[kWarp];
    for (int lane = 0; lane < lanes; ++lane) {
      sums[lane] = sum_packs<Terms, N>(first_row, rows, channels, lane, lanes, before, load);
    }
    for (int offset = lanes / 2; offset > 0; offset /= 2) {  // what the lanes below `offset` hold after the exchange
      for (int lane = 0; lane < offset; ++lane) {
        for (int r = 0; r < kRowsOfGroup; ++r) {
          for (int t = 0; t < Terms; ++t) sums[lane].term[r][t] += sums[lane + offset].term[r][t];
        }
      }
    }
    for (int r = 0; r < kRowsOfGroup && first_row + r < rows; ++r) store(first_row + r, sums[0].term[r]);
  }
}

// channels must be a multiple of N. load(row, channel, kept, terms) adds to terms[Terms] what N channels of a row
// give, with kept = before(channel); store(row, terms) receives the sums.
template <int Terms, int N, typename Before, typename Load, typename Store>
void sum_along_rows(const Call& call, Index rows, Index channels, const Before& before, const Load& load,
                    const Store& store) {
  if (rows == 0) return;
  const int lanes = lanes_for(channels / N, kWarp);
  if (const cudaStream_t stream = stream_for(call); stream != nullptr) {
    const dim3 block(static_cast<unsigned>(lanes), static_cast<unsigned>(kThreads / lanes));
    const auto blocks = static_cast<unsigned>(blocks_for(rows, static_cast<Index>(block.y) * kRowsOfGroup));
    row_sums_kernel<Terms, N><<<blocks, block, 0, stream>>>(rows, channels, before, load, store);
    check_launch();
  } else {
    row_sums_on_host<Terms, N>(rows, channels, lanes, before, load, store);
  }
}

}  // namespace dermatome::launch::cuda

// Launch templates, CPU bodies (OpenMP). How work is split depends on shapes alone, and partial results are added in a
// fixed order, so results have the same bits for any number of threads.
#pragma once

#include <omp.h>

#include <cstdint>

#include "engine/compile/call.h"
#include "kernels/launch/element_types.h"
#include "kernels/launch/host_device.h"
#include "kernels/launch/operands.h"

namespace dermatome::launch {
inline namespace DERMATOME_ISA {

using Index = std::int64_t;

// Below this many elements a second thread costs more than it brings.
constexpr Index kParallelGrain = 8192;

// body() on every thread, or where that is not worth while once on this one, outside any team: libgomp asks for memory
// anew for each team of one. The body's `omp for` loops share themselves out in either case.
template <typename Body>
void in_team(bool worth_while, const Body& body) {
  if (!worth_while || omp_get_max_threads() == 1) {
    body();
    return;
  }
#pragma omp parallel
  body();
}

// f(i) for every i in [0, count). f must not depend on the order.
template <typename F>
void for_each(Index count, const F& f) {
  in_team(count > kParallelGrain, [&] {
    const F local = f;  // through the shared one nothing could be kept in registers, and no loop would vectorise
#pragma omp for simd schedule(static)
    for (Index i = 0; i < count; ++i) local(i);
  });
}

// f(row) for every row in [0, rows), where a row is `work` elements of work; f loops inside by itself.
template <typename F>
void for_each_row(Index rows, Index work, const F& f) {
  in_team(rows * work > kParallelGrain, [&] {
    const F local = f;
#pragma omp for schedule(static)
    for (Index row = 0; row < rows; ++row) local(row);
  });
}

// Into how many chunks a reduction over `rows` rows is split.
constexpr Index kMostChunks = 128;
constexpr Index kChunkRows = 64;
DERMATOME_HD Index chunks_of(Index rows) {
  const Index chunks = (rows + kChunkRows - 1) / kChunkRows;
  return chunks < 1 ? 1 : chunks > kMostChunks ? kMostChunks : chunks;
}

// f(chunk, first row, row behind the last) for the chunks of a reduction.
template <typename F>
void for_each_chunk(Index rows, Index work, const F& f) {
  const Index chunks = chunks_of(rows);
  in_team(rows * work > kParallelGrain, [&] {
    const F local = f;
#pragma omp for schedule(static)
    for (Index chunk = 0; chunk < chunks; ++chunk) local(chunk, rows * chunk / chunks, rows * (chunk + 1) / chunks);
  });
}

// f(first channel, count) for blocks of at most kChannelBlock channels, of `work` elements each: what chunks left is
// combined a few channels at a time, side by side in registers.
constexpr Index kChannelBlock = 16;
template <typename F>
void for_each_channel_block(Index channels, Index work, const F& f) {
  for_each_row((channels + kChannelBlock - 1) / kChannelBlock, work * kChannelBlock, [=](Index block) {
    const Index first = block * kChannelBlock;
    f(first, channels - first < kChannelBlock ? channels - first : kChannelBlock);
  });
}

// Bytes of workspace of reduce_channels.
template <typename T, int Terms>
constexpr Index reduce_channels_workspace(Index rows, Index channels) {
  return chunks_of(rows) * Terms * channels * static_cast<Index>(sizeof(T));
}

// The second half of reduce_channels: adds up what each chunk of rows left, [chunk][term][channel].
template <typename T, int Terms, typename Store>
void combine_chunks(Index rows, Index channels, const T* workspace, const Store& store) {
  const Index chunks = chunks_of(rows);
  for_each_channel_block(channels, chunks * Terms, [=](Index first, Index count) {
    double sums[Terms][kChannelBlock] = {};
    for (Index chunk = 0; chunk < chunks; ++chunk) {
      for (int k = 0; k < Terms; ++k) {
        const T* partial = workspace + (chunk * Terms + k) * channels + first;
#pragma omp simd
        for (Index c = 0; c < count; ++c) sums[k][c] += static_cast<double>(partial[c]);
      }
    }
    for (Index c = 0; c < count; ++c) {
      double of_channel[Terms];
      for (int k = 0; k < Terms; ++k) of_channel[k] = sums[k][c];
      store(first + c, of_channel);
    }
  });
}

// Sums over the rows of a rows x channels array, for each channel: load(row, channel, terms) adds nothing but fills
// terms[Terms]; store(channel, sums) receives the totals, in double, and is called for several channels at a time.
template <typename T, int Terms, typename Load, typename Store>
void reduce_channels(Index rows, Index channels, T* workspace, const Load& load, const Store& store) {
  for_each_chunk(rows, channels * Terms, [=](Index chunk, Index begin, Index end) {
    T* partial = workspace + chunk * Terms * channels;
    for (Index i = 0; i < Terms * channels; ++i) partial[i] = 0;
    for (Index row = begin; row < end; ++row) {
#pragma omp simd
      for (Index c = 0; c < channels; ++c) {
        T terms[Terms];
        load(row, c, terms);
        for (int k = 0; k < Terms; ++k) partial[k * channels + c] += terms[k];
      }
    }
  });
  combine_chunks<T, Terms>(rows, channels, workspace, store);
}

// Sums within each of `images` images of `size` elements: load(image, i, terms), store(image, sums in double).
// Per-image results depend on nothing but that image.
template <typename T, int Terms, typename Load, typename Store>
void reduce_images(Index images, Index size, Load load, Store store) {
  constexpr Index kBlock = 1024;
  for_each_row(images, size, [=](Index image) {
    double sums[Terms] = {};
    for (Index begin = 0; begin < size; begin += kBlock) {
      const Index end = begin + kBlock < size ? begin + kBlock : size;
      T partial[Terms] = {};
      for (Index i = begin; i < end; ++i) {
        T terms[Terms];
        load(image, i, terms);
        for (int k = 0; k < Terms; ++k) partial[k] += terms[k];
      }
      for (int k = 0; k < Terms; ++k) sums[k] += static_cast<double>(partial[k]);
    }
    store(image, sums);
  });
}

}  // namespace DERMATOME_ISA

}  // namespace dermatome::launch

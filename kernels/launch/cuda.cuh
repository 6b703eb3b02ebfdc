// Launch templates, CUDA bodies and their host bodies. A host body does on the CPU exactly what the device body does:
// the same split, the same order of additions. So everything but the few kernels in this file is tested without a GPU.
// How work is split depends on shapes alone, and there are no atomics: equal inputs give equal bits.
#pragma once

#include <cstdint>

#include "engine/compile/call.h"
#include "kernels/launch/cuda_table.h"
#include "kernels/launch/element_types.h"

// Functors capture by value; they run on either side.
#define DERMATOME_LAMBDA [=] __host__ __device__

namespace dermatome::launch::cuda {

using Index = std::int64_t;

constexpr int kThreads = 256;
constexpr int kWarp = 32;

inline cudaStream_t stream_for(const Call& call) {
  return static_cast<cudaStream_t>(stream_of(call));
}

DERMATOME_HD Index blocks_for(Index count, Index each) {
  return (count + each - 1) / each;
}

// The smallest power of two that is not below `count`, and at most `most`.
inline int lanes_for(Index count, int most) {
  int lanes = 1;
  while (lanes < most && lanes < count) lanes *= 2;
  return lanes;
}

// --- f(i) for every i in [0, count) ---

template <typename F>
__global__ void for_each_kernel(Index count, F f) {
  const Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) f(i);
}

template <typename F>
void for_each(const Call& call, Index count, const F& f) {
  if (count == 0) return;
  if (const cudaStream_t stream = stream_for(call); stream != nullptr) {
    for_each_kernel<<<static_cast<unsigned>(blocks_for(count, kThreads)), kThreads, 0, stream>>>(count, f);
    check_launch();
  } else {
    for (Index i = 0; i < count; ++i) f(i);
  }
}

// --- y[i] = f(i, x[i]...): a pack of 16 bytes of each operand a thread ---

template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
  T value[N];
};

template <typename T, int N>
DERMATOME_HD Pack<T, N> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T, N>*>(from);
}
template <typename T, int N>
DERMATOME_HD void store_pack(T* to, const Pack<T, N>& pack) {
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

template <typename T, int N, typename F, typename... Packs>
DERMATOME_HD void map_packs(Index first, T* y, const F& f, const Packs&... x) {
  Pack<T, N> result;
  for (int k = 0; k < N; ++k) result.value[k] = store<T>(f(first + k, load(x.value[k])...));
  store_pack<T, N>(y + first, result);
}

// What thread i does: one of the packs, or one of the elements behind the last.
template <typename T, int N, typename F, typename... In>
DERMATOME_HD void map_item(Index i, Index count, Index packs, T* y, const F& f, const In*... x) {
  if (i < packs) {
    map_packs<T, N>(i * N, y, f, load_pack<T, N>(x + i * N)...);
  } else if (const Index single = packs * N + i - packs; single < count) {
    map_packs<T, 1>(single, y, f, load_pack<T, 1>(x + single)...);
  }
}

template <typename T, int N, typename F, typename... In>
__global__ void map_kernel(Index count, Index packs, T* y, F f, const In*... x) {
  map_item<T, N>(static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x, count, packs, y, f, x...);
}

template <typename T>
bool aligned_for_packs(const T* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0;
}

// y may be one of x. f takes the index and the elements as float.
template <typename T, typename F, typename... In>
void map(const Call& call, Index count, T* y, const F& f, const In*... x) {
  if (count == 0) return;
  constexpr int kPack = 16 / sizeof(T);
  const bool packed = aligned_for_packs(y) && (aligned_for_packs(x) && ...);
  const Index packs = packed ? count / kPack : 0;
  const Index items = packs + (count - packs * kPack);
  if (const cudaStream_t stream = stream_for(call); stream != nullptr) {
    map_kernel<T, kPack>
        <<<static_cast<unsigned>(blocks_for(items, kThreads)), kThreads, 0, stream>>>(count, packs, y, f, x...);
    check_launch();
  } else {
    for (Index i = 0; i < items; ++i) map_item<T, kPack>(i, count, packs, y, f, x...);
  }
}

// --- f(row, column) of an array: neighbouring threads take neighbouring columns, so that no index is divided ---

template <typename F>
__global__ void for_each_cell_kernel(Index rows, Index columns, F f) {
  const Index row = static_cast<Index>(blockIdx.x) * blockDim.y + threadIdx.y;
  const Index column = static_cast<Index>(blockIdx.y) * blockDim.x + threadIdx.x;
  if (row < rows && column < columns) f(row, column);
}

template <typename F>
void for_each_cell(const Call& call, Index rows, Index columns, const F& f) {
  if (rows == 0 || columns == 0) return;
  if (const cudaStream_t stream = stream_for(call); stream != nullptr) {
    const unsigned lanes = static_cast<unsigned>(lanes_for(columns, kThreads));
    const dim3 block(lanes, kThreads / lanes);
    const dim3 grid(static_cast<unsigned>(blocks_for(rows, block.y)),
                    static_cast<unsigned>(blocks_for(columns, lanes)));
    for_each_cell_kernel<<<grid, block, 0, stream>>>(rows, columns, f);
    check_launch();
  } else {
    for (Index row = 0; row < rows; ++row) {
      for (Index column = 0; column < columns; ++column) f(row, column);
    }
  }
}

// --- sums over the rows of a rows x channels array, for each channel ---

constexpr Index kRowsOfChunk = 256;
constexpr Index kMostChunks = 1024;
DERMATOME_HD Index row_chunks(Index rows) {
  const Index chunks = rows / kRowsOfChunk;
  return chunks < 1 ? 1 : chunks > kMostChunks ? kMostChunks : chunks;
}

// Bytes of workspace of reduce_channels.
template <typename T, int Terms>
Index reduce_channels_workspace(Index rows, Index channels) {
  return row_chunks(rows) * Terms * channels * static_cast<Index>(sizeof(T));
}

template <typename T, int Terms, int N>
struct ChannelSums {
  T term[Terms][N];
  DERMATOME_HD void clear() {
    for (int t = 0; t < Terms; ++t) {
      for (int k = 0; k < N; ++k) term[t][k] = T(0);
    }
  }
  DERMATOME_HD void add(const ChannelSums& other) {
    for (int t = 0; t < Terms; ++t) {
      for (int k = 0; k < N; ++k) term[t][k] += other.term[t][k];
    }
  }
};

// What one thread adds up: every `slices`-th row of a chunk, N channels.
template <typename Sums, int N, typename Before, typename Load>
DERMATOME_HD Sums sum_rows(Index rows, Index chunk, Index chunks, int slice, int slices, Index channel,
                           const Before& before, const Load& load) {
  Sums sums;
  sums.clear();
  const auto kept = before(channel);
  const Index end = rows * (chunk + 1) / chunks;
  for (Index row = rows * chunk / chunks + slice; row < end; row += slices) {
    Sums terms;
    load(row, channel, kept, terms);
    sums.add(terms);
  }
  return sums;
}

template <typename T, int Terms, int N>
DERMATOME_HD void store_partial(T* partial, Index chunk, Index channels, Index channel,
                                const ChannelSums<T, Terms, N>& sums) {
  for (int t = 0; t < Terms; ++t) {
    for (int k = 0; k < N; ++k) partial[(chunk * Terms + t) * channels + channel + k] = sums.term[t][k];
  }
}

template <typename T, int Terms, int N, typename Before, typename Load>
__global__ void channel_partials_kernel(Index rows, Index channels, T* partial, Before before, Load load) {
  using Sums = ChannelSums<T, Terms, N>;
  __shared__ Sums shared[kThreads];
  const Index chunk = blockIdx.x;
  const Index channel = (static_cast<Index>(blockIdx.y) * blockDim.x + threadIdx.x) * N;
  const int slice = static_cast<int>(threadIdx.y);
  const int slices = static_cast<int>(blockDim.y);
  Sums* mine = shared + threadIdx.y * blockDim.x + threadIdx.x;
  if (channel < channels) {
    *mine = sum_rows<Sums, N>(rows, chunk, gridDim.x, slice, slices, channel, before, load);
  }
  for (int half = slices / 2; half > 0; half /= 2) {
    __syncthreads();
    if (slice < half && channel < channels) mine->add(mine[half * blockDim.x]);
  }
  if (slice == 0 && channel < channels) store_partial<T, Terms, N>(partial, chunk, channels, channel, *mine);
}

constexpr int kTotalSlices = 8;

// Every eighth chunk of a channel, in order.
template <typename T, int Terms>
DERMATOME_HD void sum_chunks(const T* partial, Index chunks, Index channels, Index channel, int slice, double* sums) {
  for (int t = 0; t < Terms; ++t) sums[t] = 0;
  for (Index chunk = slice; chunk < chunks; chunk += kTotalSlices) {
    for (int t = 0; t < Terms; ++t) {
      sums[t] += static_cast<double>(partial[(chunk * Terms + t) * channels + channel]);
    }
  }
}

template <typename T, int Terms, typename Store>
__global__ void channel_totals_kernel(Index chunks, Index channels, const T* partial, Store store) {
  __shared__ double shared[kTotalSlices][kWarp][Terms];
  const Index channel = static_cast<Index>(blockIdx.x) * kWarp + threadIdx.x;
  double* mine = shared[threadIdx.y][threadIdx.x];
  if (channel < channels) {
    sum_chunks<T, Terms>(partial, chunks, channels, channel, static_cast<int>(threadIdx.y), mine);
  }
  __syncthreads();
  if (threadIdx.y > 0 || channel >= channels) return;
  for (int slice = 1; slice < kTotalSlices; ++slice) {
    for (int t = 0; t < Terms; ++t) mine[t] += shared[slice][threadIdx.x][t];
  }
  store(channel, mine);
}

template <typename T, int Terms, int N, typename Before, typename Load, typename Store>
void reduce_channels_on_host(Index rows, Index channels, T* workspace, int slices, const Before& before,
                             const Load& load, const Store& store) {
  using Sums = ChannelSums<T, Terms, N>;
  const Index chunks = row_chunks(rows);
  for (Index chunk = 0; chunk < chunks; ++chunk) {
    for (Index channel = 0; channel < channels; channel += N) {
      Sums slice_sums[kThreads] = {};
      for (int slice = 0; slice < slices; ++slice) {
        slice_sums[slice] = sum_rows<Sums, N>(rows, chunk, chunks, slice, slices, channel, before, load);
      }
      for (int half = slices / 2; half > 0; half /= 2) {
        for (int slice = 0; slice < half; ++slice) slice_sums[slice].add(slice_sums[slice + half]);
      }
      store_partial<T, Terms, N>(workspace, chunk, channels, channel, slice_sums[0]);
    }
  }
  for (Index channel = 0; channel < channels; ++channel) {
    double sums[Terms];
    sum_chunks<T, Terms>(workspace, chunks, channels, channel, 0, sums);
    for (int slice = 1; slice < kTotalSlices; ++slice) {
      double more[Terms];
      sum_chunks<T, Terms>(workspace, chunks, channels, channel, slice, more);
      for (int t = 0; t < Terms; ++t) sums[t] += more[t];
    }
    store(channel, sums);
  }
}

// N channels a thread; channels must be a multiple of N. before(channel) is kept in registers over the rows and handed
// to load(row, channel, kept, terms), which fills all terms; store(channel, sums) receives the totals, in double.
template <typename T, int Terms, int N, typename Before, typename Load, typename Store>
void reduce_channels(const Call& call, Index rows, Index channels, T* workspace, const Before& before, const Load& load,
                     const Store& store) {
  if (channels == 0) return;
  const int lanes = lanes_for(channels / N, kWarp);
  const int slices = kThreads / lanes;
  if (const cudaStream_t stream = stream_for(call); stream != nullptr) {
    const Index chunks = row_chunks(rows);
    const dim3 grid(static_cast<unsigned>(chunks), static_cast<unsigned>(blocks_for(channels / N, lanes)));
    channel_partials_kernel<T, Terms, N>
        <<<grid, dim3(static_cast<unsigned>(lanes), static_cast<unsigned>(slices)), 0, stream>>>(
            rows, channels, workspace, before, load);
    check_launch();
    channel_totals_kernel<T, Terms>
        <<<static_cast<unsigned>(blocks_for(channels, kWarp)), dim3(kWarp, kTotalSlices), 0, stream>>>(
            chunks, channels, workspace, store);
    check_launch();
  } else {
    reduce_channels_on_host<T, Terms, N>(rows, channels, workspace, slices, before, load, store);
  }
}

// --- sums within each of `images` images of `size` elements ---

constexpr Index kElementsOfBlock = 8192;
constexpr Index kMostBlocksOfImage = 64;
DERMATOME_HD Index blocks_of_image(Index size) {
  const Index blocks = blocks_for(size, kElementsOfBlock);
  return blocks < 1 ? 1 : blocks > kMostBlocksOfImage ? kMostBlocksOfImage : blocks;
}

// Bytes of workspace of reduce_images.
template <typename T, int Terms>
Index reduce_images_workspace(Index images, Index size) {
  return images * blocks_of_image(size) * Terms * static_cast<Index>(sizeof(T));
}

template <typename T, int Terms>
struct ImageSums {
  T term[Terms];
  DERMATOME_HD void add(const ImageSums& other) {
    for (int t = 0; t < Terms; ++t) term[t] += other.term[t];
  }
};

// What one thread adds up.
template <typename T, int Terms, typename Load>
DERMATOME_HD ImageSums<T, Terms> sum_elements(Index image, Index size, Index first, Index step, const Load& load) {
  ImageSums<T, Terms> sums = {};
  for (Index i = first; i < size; i += step) {
    ImageSums<T, Terms> terms;
    load(image, i, terms.term);
    sums.add(terms);
  }
  return sums;
}

template <typename T, int Terms, typename Load>
__global__ void image_partials_kernel(Index size, ImageSums<T, Terms>* partial, Load load) {
  __shared__ ImageSums<T, Terms> shared[kThreads];
  const Index image = blockIdx.y;
  const Index step = static_cast<Index>(gridDim.x) * kThreads;
  shared[threadIdx.x] =
      sum_elements<T, Terms>(image, size, static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x, step, load);
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < static_cast<unsigned>(half)) shared[threadIdx.x].add(shared[threadIdx.x + half]);
  }
  if (threadIdx.x == 0) partial[image * gridDim.x + blockIdx.x] = shared[0];
}

template <typename T, int Terms, typename Store>
DERMATOME_HD void total_of_image(Index image, Index blocks, const ImageSums<T, Terms>* partial, const Store& store) {
  double sums[Terms] = {};
  for (Index block = 0; block < blocks; ++block) {
    for (int t = 0; t < Terms; ++t) sums[t] += static_cast<double>(partial[image * blocks + block].term[t]);
  }
  store(image, sums);
}

template <typename T, int Terms, typename Store>
__global__ void image_totals_kernel(Index images, Index blocks, const ImageSums<T, Terms>* partial, Store store) {
  const Index image = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (image < images) total_of_image<T, Terms>(image, blocks, partial, store);
}

template <typename T, int Terms, typename Load>
void image_partials_on_host(Index images, Index size, ImageSums<T, Terms>* partial, const Load& load) {
  const Index blocks = blocks_of_image(size);
  for (Index row = 0; row < images * blocks; ++row) {
    ImageSums<T, Terms> sums[kThreads] = {};
    for (int thread = 0; thread < kThreads; ++thread) {
      sums[thread] =
          sum_elements<T, Terms>(row / blocks, size, row % blocks * kThreads + thread, blocks * kThreads, load);
    }
    for (int half = kThreads / 2; half > 0; half /= 2) {
      for (int thread = 0; thread < half; ++thread) sums[thread].add(sums[thread + half]);
    }
    partial[row] = sums[0];
  }
}

// load(image, i, terms) fills terms[Terms], once for every element; store(image, sums) receives the totals, in double.
// Per-image results depend on nothing but that image.
template <typename T, int Terms, typename Load, typename Store>
void reduce_images(const Call& call, Index images, Index size, void* workspace, const Load& load, const Store& store) {
  if (images == 0) return;
  auto* partial = static_cast<ImageSums<T, Terms>*>(workspace);
  const Index blocks = blocks_of_image(size);
  if (const cudaStream_t stream = stream_for(call); stream != nullptr) {
    const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(images));
    image_partials_kernel<T, Terms><<<grid, kThreads, 0, stream>>>(size, partial, load);
    check_launch();
    image_totals_kernel<T, Terms>
        <<<static_cast<unsigned>(blocks_for(images, kThreads)), kThreads, 0, stream>>>(images, blocks, partial, store);
    check_launch();
  } else {
    image_partials_on_host<T, Terms>(images, size, partial, load);
    for (Index image = 0; image < images; ++image) total_of_image<T, Terms>(image, blocks, partial, store);
  }
}

}  // namespace dermatome::launch::cuda

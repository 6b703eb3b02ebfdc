// f(segment, i) for every element of several arrays of different lengths, in one launch: templates with CUDA and host
// body as in cuda.cuh.
#pragma once

#include "kernels/launch/cuda.cuh"

namespace dermatome::launch::cuda {

constexpr Index kElementsOfSegmentBlock = 4096;
constexpr int kMostSegments = 256;

// Travels as the kernel's argument (32 KiB are allowed), so that a captured launch holds it.
template <typename Segment>
struct Segments {
  Segment segment[kMostSegments];
  int elements_of_block[kMostSegments];
  int first_block[kMostSegments + 1];
  int count = 0;

  void add(const Segment& next, Index each = kElementsOfSegmentBlock) {
    if (count == 0) first_block[0] = 0;
    segment[count] = next;
    elements_of_block[count] = static_cast<int>(each);
    first_block[count + 1] = first_block[count] + static_cast<int>(blocks_for(next.elements, each));
    ++count;
  }
  int blocks() const { return count == 0 ? 0 : first_block[count]; }
  DERMATOME_HD int segment_of(int block) const {
    int low = 0;
    int high = count - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first_block[middle] <= block) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
};

// What a block of threads works on.
template <typename Segment>
struct SegmentBlock {
  const Segment& segment;
  Index begin, end;

  DERMATOME_HD SegmentBlock(const Segments<Segment>& segments, int block)
      : SegmentBlock(segments, block, segments.segment_of(block)) {}
  DERMATOME_HD SegmentBlock(const Segments<Segment>& segments, int block, int s)
      : segment(segments.segment[s]),
        begin(static_cast<Index>(block - segments.first_block[s]) * segments.elements_of_block[s]),
        end(begin + segments.elements_of_block[s] < segment.elements ? begin + segments.elements_of_block[s]
                                                                     : segment.elements) {}
};

template <typename Segment, typename F>
__global__ void for_each_segment_kernel(const __grid_constant__ Segments<Segment> segments, F f) {
  const SegmentBlock<Segment> block(segments, static_cast<int>(blockIdx.x));
  for (Index i = block.begin + threadIdx.x; i < block.end; i += kThreads) f(block.segment, i);
}

template <typename Segment, typename F>
void for_each_segment(const Call& call, const Segments<Segment>& segments, const F& f) {
  static_assert(sizeof(Segments<Segment>) < 32000, "the kernel's arguments must hold all segments");
  const int blocks = segments.blocks();
  if (blocks == 0) return;
  if (const cudaStream_t stream = stream_for(call); stream != nullptr) {
    for_each_segment_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(segments, f);
    check_launch();
  } else {
    for (int b = 0; b < blocks; ++b) {
      const SegmentBlock<Segment> block(segments, b);
      for (Index i = block.begin; i < block.end; ++i) f(block.segment, i);
    }
  }
}

// --- the same, where what f returns also goes to a copy [out, taps, in] of the segment [out, in, taps] ---

struct ChannelsLast {
  void* to = nullptr;  // null: no copy
  DType type = DType::f32;
  int in = 1, taps = 1;

  // A window's taps stay together, so that a block can transpose what it holds.
  Index elements_of_block() const {
    return by_windows() ? kElementsOfSegmentBlock / taps * taps : kElementsOfSegmentBlock;
  }
  DERMATOME_HD bool by_windows() const { return to != nullptr && taps > 1 && taps <= kElementsOfSegmentBlock; }
  DERMATOME_HD Index place_of(Index i) const {
    if (taps == 1) return i;
    const Index window = i / taps;
    return (window / in * taps + i % taps) * in + window % in;
  }
  DERMATOME_HD void put(Index at, float value) const {
    if (type == DType::f32) {
      static_cast<float*>(to)[at] = value;
    } else {
      static_cast<Bfloat16*>(to)[at] = store<Bfloat16>(value);
    }
  }
  // What element i gives, where windows are not kept.
  DERMATOME_HD void put_alone(Index i, float value) const {
    if (to != nullptr) put(place_of(i), value);
  }
  // One tap after the other of the window that begins with element i.
  DERMATOME_HD void put_window(Index i, const float* values) const {
    const Index first = place_of(i);
    for (int tap = 0; tap < taps; ++tap) put(first + static_cast<Index>(tap) * in, values[tap]);
  }
};

// Neighbouring threads write neighbouring channels.
template <typename Segment, typename F>
__global__ void for_each_segment_and_copy_kernel(const __grid_constant__ Segments<Segment> segments, F f) {
  __shared__ float results[kElementsOfSegmentBlock];
  const SegmentBlock<Segment> block(segments, static_cast<int>(blockIdx.x));
  const ChannelsLast& copy = block.segment.copy;
  const bool by_windows = copy.by_windows();
  for (Index i = block.begin + threadIdx.x; i < block.end; i += kThreads) {
    const float result = f(block.segment, i);
    if (by_windows) {
      results[i - block.begin] = result;
    } else {
      copy.put_alone(i, result);
    }
  }
  if (!by_windows) return;
  __syncthreads();
  const Index step = static_cast<Index>(kThreads) * copy.taps;
  for (Index i = block.begin + static_cast<Index>(threadIdx.x) * copy.taps; i < block.end; i += step) {
    copy.put_window(i, results + (i - block.begin));
  }
}

// Segments were added with copy.elements_of_block().
template <typename Segment, typename F>
void for_each_segment_and_copy(const Call& call, const Segments<Segment>& segments, const F& f) {
  static_assert(sizeof(Segments<Segment>) < 32000, "the kernel's arguments must hold all segments");
  const int blocks = segments.blocks();
  if (blocks == 0) return;
  if (const cudaStream_t stream = stream_for(call); stream != nullptr) {
    for_each_segment_and_copy_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(segments, f);
    check_launch();
    return;
  }
  for (int b = 0; b < blocks; ++b) {
    const SegmentBlock<Segment> block(segments, b);
    const ChannelsLast& copy = block.segment.copy;
    const bool by_windows = copy.by_windows();
    float results[kElementsOfSegmentBlock];
    for (Index i = block.begin; i < block.end; ++i) {
      results[i - block.begin] = f(block.segment, i);
      if (!by_windows) copy.put_alone(i, results[i - block.begin]);
    }
    for (Index i = block.begin; by_windows && i < block.end; i += copy.taps) {
      copy.put_window(i, results + (i - block.begin));
    }
  }
}

}  // namespace dermatome::launch::cuda

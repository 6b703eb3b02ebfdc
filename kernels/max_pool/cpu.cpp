// max_pool and max_pool_gradient on the CPU. A row of windows is a unit of work; channels are the vector.
#include "kernels/launch/cpu.h"
#include "kernels/launch/simd.h"
#include "kernels/launch/table.h"
#include "kernels/max_pool/math.h"

namespace dermatome::max_pool {
namespace {

using launch::Index;
using launch::kLanes;
using launch::load;
using launch::store;
using launch::Vec;

// Channels whose running maxima are held at once.
constexpr Index kBlock = 64;

template <typename T>
struct Window {
  const T* image;      // the image's first element
  Index row_elements;  // from one row of the image to the next
  Index channels;
  Index h, w;  // the window's first position
  Range taps_h, taps_w;
  Index kernel;
};

// y, index: of this window's first channel; null where nobody uses them.
template <typename T>
void pool_window(const Window<T>& window, Index first_channel, Index count, T* y, std::uint8_t* index) {
  float largest[kBlock];
  std::int32_t taken[kBlock];
  bool first = true;
  for (Index kh = window.taps_h.first; kh < window.taps_h.behind; ++kh) {
    const T* row = window.image + (window.h + kh) * window.row_elements + first_channel;
    for (Index kw = window.taps_w.first; kw < window.taps_w.behind; ++kw) {
      const T* x = row + (window.w + kw) * window.channels;
      const auto tap = static_cast<std::int32_t>(kh * window.kernel + kw);
#pragma omp simd
      for (Index c = 0; c < count; ++c) {
        const float value = load(x[c]);
        const bool takes = first || takes_over(value, largest[c]);
        largest[c] = takes ? value : largest[c];
        taken[c] = takes ? tap : taken[c];
      }
      first = false;
    }
  }
  if (y != nullptr) {
    for (Index c = 0; c < count; ++c) y[first_channel + c] = store<T>(largest[c]);
  }
  if (index != nullptr) {
    for (Index c = 0; c < count; ++c) index[first_channel + c] = static_cast<std::uint8_t>(taken[c]);
  }
}

template <typename T>
void run_forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  std::uint8_t* index = launch::out<std::uint8_t>(call, 1);
  const Index kernel = launch::integer(call, kKernel);
  const Index stride = launch::integer(call, kStride);
  const Index pad = launch::integer(call, kPad);
  const Index height = call.inputs[0].extent[1], width = call.inputs[0].extent[2], channels = call.inputs[0].extent[3];
  const Index out_height = call.outputs[0].extent[1], out_width = call.outputs[0].extent[2];
  launch::for_each_row(call.inputs[0].extent[0] * out_height, out_width * channels * kernel * kernel, [=](Index row) {
    const Index start_h = row % out_height * stride - pad;
    Window<T> window{.image = x + row / out_height * height * width * channels,
                     .row_elements = width * channels,
                     .channels = channels,
                     .h = start_h,
                     .w = 0,
                     .taps_h = taps_inside(start_h, kernel, height),
                     .taps_w = {},
                     .kernel = kernel};
    for (Index ow = 0; ow < out_width; ++ow) {
      window.w = ow * stride - pad;
      window.taps_w = taps_inside(window.w, kernel, width);
      const Index at = (row * out_width + ow) * channels;
      for (Index c = 0; c < channels; c += kBlock) {
        pool_window(window, c, channels - c < kBlock ? channels - c : kBlock, y == nullptr ? nullptr : y + at,
                    index == nullptr ? nullptr : index + at);
      }
    }
  });
}

// What of a window's dy goes to the position under `tap`, for as many channels as lanes.
template <typename T>
Vec given_to(const T* dy, const std::uint8_t* index, std::uint32_t tap) {
  const auto taken = launch::load_bits(index);
  return taken == tap ? load(dy) : Vec{};
}

template <typename T>
void run_backward(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  const std::uint8_t* index = launch::in<std::uint8_t>(call, 1);
  T* dx = launch::out<T>(call, 0);
  const Index kernel = launch::integer(call, kKernel);
  const Index stride = launch::integer(call, kStride);
  const Index pad = launch::integer(call, kPad);
  const Index height = call.outputs[0].extent[1];
  const Index width = call.outputs[0].extent[2];
  const Index channels = call.outputs[0].extent[3];
  const Index out_height = call.inputs[0].extent[1], out_width = call.inputs[0].extent[2];
  launch::for_each_row(call.outputs[0].extent[0] * height, width * channels * kernel, [=](Index row) {
    const Index h = row % height;
    const Index first_out_row = row / height * out_height;
    const Range rows = windows_over(h, kernel, stride, pad, out_height);
    for (Index w = 0; w < width; ++w) {
      const Range columns = windows_over(w, kernel, stride, pad, out_width);
      T* to = dx + (row * width + w) * channels;
      // f(where the window's first channel lies, which of its taps this is) for every window over the position
      const auto for_each_window = [&](const auto& f) {
        for (Index oh = rows.first; oh < rows.behind; ++oh) {
          for (Index ow = columns.first; ow < columns.behind; ++ow) {
            f(((first_out_row + oh) * out_width + ow) * channels,
              static_cast<std::uint32_t>((h + pad - oh * stride) * kernel + (w + pad - ow * stride)));
          }
        }
      };
      Index c = 0;
      constexpr Index kVectors = 4;
      for (; c + kVectors * kLanes <= channels; c += kVectors * kLanes) {
        Vec sums[kVectors] = {};
        for_each_window([&](Index at, std::uint32_t tap) {
#pragma GCC unroll 4
          for (Index v = 0; v < kVectors; ++v) {
            const Index from = at + c + v * kLanes;
            sums[v] += given_to(dy + from, index + from, tap);
          }
        });
        for (Index v = 0; v < kVectors; ++v) store(to + c + v * kLanes, sums[v]);
      }
      for (; c < channels; ++c) {
        float sum = 0;
        for_each_window([&](Index at, std::uint32_t tap) { sum += index[at + c] == tap ? load(dy[at + c]) : 0.0f; });
        to[c] = store<T>(sum);
      }
    }
  });
}

}  // namespace
}  // namespace dermatome::max_pool

DERMATOME_CPU_TABLE(max_pool, {"max_pool", DType::f32, max_pool::run_forward<float>},
                    {"max_pool", DType::bf16, max_pool::run_forward<launch::Bfloat16>},
                    {"max_pool_gradient", DType::f32, max_pool::run_backward<float>},
                    {"max_pool_gradient", DType::bf16, max_pool::run_backward<launch::Bfloat16>})

// max_pool and max_pool_gradient on CUDA: one thread an element, neighbouring threads neighbouring channels.
#include "kernels/launch/cuda.cuh"
#include "kernels/max_pool/math.h"

namespace dermatome::max_pool {
namespace {

using launch::load;
using launch::store;
using launch::cuda::Index;

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
  launch::cuda::for_each_cell(
      call, call.inputs[0].extent[0] * out_height * out_width, channels, DERMATOME_LAMBDA(Index pixel, Index c) {
        const Index start_w = pixel % out_width * stride - pad;
        const Index row = pixel / out_width;
        const Index start_h = row % out_height * stride - pad;
        const T* image = x + row / out_height * height * width * channels + c;
        const Range taps_h = taps_inside(start_h, kernel, height);
        const Range taps_w = taps_inside(start_w, kernel, width);
        float largest = 0;
        int taken = -1;
        for (Index kh = taps_h.first; kh < taps_h.behind; ++kh) {
          for (Index kw = taps_w.first; kw < taps_w.behind; ++kw) {
            const float value = load(image[((start_h + kh) * width + start_w + kw) * channels]);
            if (taken < 0 || takes_over(value, largest)) {
              largest = value;
              taken = static_cast<int>(kh * kernel + kw);
            }
          }
        }
        if (y != nullptr) y[pixel * channels + c] = store<T>(largest);
        if (index != nullptr) index[pixel * channels + c] = static_cast<std::uint8_t>(taken);
      });
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
  launch::cuda::for_each_cell(
      call, call.outputs[0].extent[0] * height * width, channels, DERMATOME_LAMBDA(Index pixel, Index c) {
        const Index w = pixel % width;
        const Index row = pixel / width;
        const Index h = row % height;
        const Index first_out_row = row / height * out_height;
        const Range rows = windows_over(h, kernel, stride, pad, out_height);
        const Range columns = windows_over(w, kernel, stride, pad, out_width);
        float sum = 0;
        for (Index oh = rows.first; oh < rows.behind; ++oh) {
          for (Index ow = columns.first; ow < columns.behind; ++ow) {
            const Index at = ((first_out_row + oh) * out_width + ow) * channels + c;
            const Index tap = (h + pad - oh * stride) * kernel + (w + pad - ow * stride);
            if (index[at] == static_cast<std::uint8_t>(tap)) sum += load(dy[at]);
          }
        }
        dx[pixel * channels + c] = store<T>(sum);
      });
}

}  // namespace
}  // namespace dermatome::max_pool

DERMATOME_CUDA_TABLE(max_pool, {"max_pool", DType::f32, max_pool::run_forward<float>},
                     {"max_pool", DType::bf16, max_pool::run_forward<launch::Bfloat16>},
                     {"max_pool_gradient", DType::f32, max_pool::run_backward<float>},
                     {"max_pool_gradient", DType::bf16, max_pool::run_backward<launch::Bfloat16>})

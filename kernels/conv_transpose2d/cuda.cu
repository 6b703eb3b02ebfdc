// conv_transpose2d on CUDA for every shape, one thread a result; see kernels/conv2d/cuda.cu.
#include "kernels/launch/cuda.cuh"

namespace dermatome::conv_transpose2d {
namespace {

using launch::load;
using launch::store;
using launch::cuda::Index;

enum { kChannels, kKernel, kStride, kPad };

template <typename T, typename Result>
void forward_to(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  const float* weight = launch::in<float>(call, 1);  // IOHW
  const float* bias = call.input_count > 2 ? launch::in<float>(call, 2) : nullptr;
  Result* y = launch::out<Result>(call, 0);
  const Index kernel = launch::integer(call, kKernel);
  const Index stride = launch::integer(call, kStride);
  const Index pad = launch::integer(call, kPad);
  const Index height = call.inputs[0].extent[1], width = call.inputs[0].extent[2], in = call.inputs[0].extent[3];
  const Index out_height = call.outputs[0].extent[1], out_width = call.outputs[0].extent[2];
  const Index out = call.outputs[0].extent[3];
  launch::cuda::for_each_cell(
      call, call.outputs[0].extent[0] * out_height * out_width, out, DERMATOME_LAMBDA(Index pixel, Index o) {
        const Index ow = pixel % out_width;
        const Index row = pixel / out_width;
        const Index oh = row % out_height;
        const T* image = x + row / out_height * height * width * in;
        float sum = 0;
        for (Index kh = 0; kh < kernel; ++kh) {
          for (Index kw = 0; kw < kernel; ++kw) {
            const Index top = oh + pad - kh, left = ow + pad - kw;
            if (top < 0 || left < 0 || top % stride != 0 || left % stride != 0) continue;
            const Index h = top / stride, w = left / stride;
            if (h >= height || w >= width) continue;
            const T* from = image + (h * width + w) * in;
            const float* taps = weight + (o * kernel + kh) * kernel + kw;
            for (Index i = 0; i < in; ++i) sum += load(from[i]) * taps[i * out * kernel * kernel];
          }
        }
        y[pixel * out + o] = store<Result>(bias == nullptr ? sum : sum + bias[o]);
      });
}

template <typename T>
void run(const Call& call) {
  if (call.outputs[0].type == DType::f32) {
    forward_to<T, float>(call);
  } else {
    forward_to<T, T>(call);
  }
}

}  // namespace
}  // namespace dermatome::conv_transpose2d

DERMATOME_CUDA_TABLE(conv_transpose2d, {"conv_transpose2d", DType::f32, conv_transpose2d::run<float>},
                     {"conv_transpose2d", DType::bf16, conv_transpose2d::run<launch::Bfloat16>, nullptr, nullptr, true})

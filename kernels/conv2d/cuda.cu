// conv2d, conv2d_fused and the gradients on CUDA for every shape, one thread a result: what serves where cuDNN
// declines, and what the rest of a program is tested with where there is no cuDNN.
#include "kernels/conv2d/geometry.h"
#include "kernels/launch/cuda.cuh"
#include "kernels/launch/workspace.h"
#include "kernels/vendor/cuda_layouts.h"

namespace dermatome::conv2d {
namespace {

using launch::load;
using launch::store;
using launch::cuda::Index;

// What conv2d_fused does to a sum before it is stored; of conv2d only the bias.
template <typename T>
struct Finish {
  const float* bias;
  const float* scale;
  const float* shift;
  const T* residual;
  bool relu_first, relu;

  DERMATOME_HD float operator()(float sum, Index channel, Index element) const {
    float y = bias == nullptr ? sum : sum + bias[channel];
    if (relu_first && y < 0) y = 0;
    if (scale != nullptr) y = y * scale[channel] + shift[channel];
    if (residual != nullptr) y += load(residual[element]);
    return relu && y < 0 ? 0.0f : y;
  }
};

// The weight is f32; sums are f32, and rounded once.
template <typename T, typename Result>
void forward_to(const Call& call, const Finish<T>& finish) {
  const Geometry g = forward_geometry(call);
  const T* x = launch::in<T>(call, 0);
  const float* weight = launch::in<float>(call, 1);
  Result* y = launch::out<Result>(call, 0);
  launch::cuda::for_each_cell(
      call, g.n * g.out_height * g.out_width, g.out, DERMATOME_LAMBDA(Index pixel, Index o) {
        const Index start_w = pixel % g.out_width * g.stride - g.pad;
        const Index row = pixel / g.out_width;
        const Index start_h = row % g.out_height * g.stride - g.pad;
        const T* image = x + row / g.out_height * g.height * g.width * g.in;
        float sum = 0;
        for (Index kh = 0; kh < g.kernel; ++kh) {
          for (Index kw = 0; kw < g.kernel; ++kw) {
            const Index h = start_h + kh, w = start_w + kw;
            if (h < 0 || h >= g.height || w < 0 || w >= g.width) continue;
            const T* from = image + (h * g.width + w) * g.in;
            const float* taps = weight + (o * g.in * g.kernel + kh) * g.kernel + kw;
            for (Index i = 0; i < g.in; ++i) sum += load(from[i]) * taps[i * g.kernel * g.kernel];
          }
        }
        const Index at = pixel * g.out + o;
        y[at] = store<Result>(finish(sum, o, at));
      });
}

template <typename T>
const T* given(const Call& call, int input) {
  return input < call.input_count ? launch::in<T>(call, input) : nullptr;
}

template <typename T>
void forward(const Call& call) {
  const Finish<T> finish{given<float>(call, kBias), nullptr, nullptr, nullptr, false, false};
  if (call.outputs[0].type == DType::f32) {
    forward_to<T, float>(call, finish);
  } else {
    forward_to<T, T>(call, finish);
  }
}

template <typename T>
void fused(const Call& call) {
  forward_to<T, T>(
      call, {given<float>(call, kBias), given<float>(call, kScale), given<float>(call, kShift),
             given<T>(call, kResidual), launch::integer(call, kReluFirst) != 0, launch::integer(call, kRelu) != 0});
}

// y where nobody asks for it, and what the sums need.
struct SumsLayout {
  launch::WorkspaceLayout layout;
  std::int64_t y, partial;
  explicit SumsLayout(const Operand& of) {
    y = layout.take(of.elements * static_cast<std::int64_t>(size_of(of.type)));
    partial = layout.take(cuda::channel_moments_workspace(of.elements / of.extent[3], of.extent[3]));
  }
};
std::int64_t sums_workspace(const Call& call) {
  return SumsLayout(call.outputs[0]).layout.bytes();
}

// `convolution` with a first output in any case, and its rows for what sums it up.
template <typename F>
cuda::Rows rows_of(const Call& call, const SumsLayout& parts, const F& convolution) {
  Operand y = call.outputs[0];
  if (y.data == nullptr) y.data = launch::part_of<void>(call.workspace, parts.y);
  Call whole = call;
  whole.outputs = &y;
  convolution(whole);
  const Index channels = y.extent[3];
  return {y.type, y.data, y.elements / channels, channels, channels};
}

template <typename T>
void sums(const Call& call) {
  const SumsLayout parts(call.outputs[0]);
  cuda::channel_moments(call, rows_of(call, parts, forward<T>), launch::part_of<void>(call.workspace, parts.partial),
                        launch::out<float>(call, 1), launch::out<float>(call, 2));
}

template <typename T>
void data_gradient(const Call& call) {
  const Geometry g = data_gradient_geometry(call);
  const T* dy = launch::in<T>(call, 0);
  const float* weight = launch::in<float>(call, 1);
  T* dx = launch::out<T>(call, 0);
  launch::cuda::for_each_cell(
      call, g.n * g.height * g.width, g.in, DERMATOME_LAMBDA(Index pixel, Index i) {
        const Index w = pixel % g.width;
        const Index row = pixel / g.width;
        const Index h = row % g.height;
        const T* image = dy + row / g.height * g.out_height * g.out_width * g.out;
        float sum = 0;
        for (Index kh = 0; kh < g.kernel; ++kh) {
          for (Index kw = 0; kw < g.kernel; ++kw) {
            const Index top = h + g.pad - kh, left = w + g.pad - kw;
            if (top < 0 || left < 0 || top % g.stride != 0 || left % g.stride != 0) continue;
            const Index oh = top / g.stride, ow = left / g.stride;
            if (oh >= g.out_height || ow >= g.out_width) continue;
            const T* from = image + (oh * g.out_width + ow) * g.out;
            const float* taps = weight + (i * g.kernel + kh) * g.kernel + kw;
            for (Index o = 0; o < g.out; ++o) sum += load(from[o]) * taps[o * g.in * g.kernel * g.kernel];
          }
        }
        dx[pixel * g.in + i] = store<T>(sum);
      });
}

template <typename T>
void data_gradient_sums(const Call& call) {
  const SumsLayout parts(call.outputs[0]);
  const cuda::Gate gate{
      .added = given<T>(call, kAdded), .gate = launch::in<T>(call, kGate), .other = launch::in<T>(call, kOther)};
  cuda::gate_and_sum(call, rows_of(call, parts, data_gradient<T>), gate,
                     launch::part_of<void>(call.workspace, parts.partial), launch::out<float>(call, 1),
                     launch::out<float>(call, 2));
}

template <typename T>
void weight_gradient(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const T* x = launch::in<T>(call, 0);
  const T* dy = launch::in<T>(call, 1);
  float* dweight = launch::out<float>(call, 0);
  float* dbias = launch::out<float>(call, 1);
  if (dweight != nullptr) {
    launch::cuda::for_each_cell(
        call, g.out * g.in, g.kernel * g.kernel, DERMATOME_LAMBDA(Index pair, Index tap) {
          const Index o = pair / g.in, i = pair % g.in;
          const Index kh = tap / g.kernel, kw = tap % g.kernel;
          double sum = 0;
          for (Index n = 0; n < g.n; ++n) {
            for (Index oh = 0; oh < g.out_height; ++oh) {
              const Index h = oh * g.stride - g.pad + kh;
              if (h < 0 || h >= g.height) continue;
              for (Index ow = 0; ow < g.out_width; ++ow) {
                const Index w = ow * g.stride - g.pad + kw;
                if (w < 0 || w >= g.width) continue;
                const float from = load(x[((n * g.height + h) * g.width + w) * g.in + i]);
                const float slope = load(dy[((n * g.out_height + oh) * g.out_width + ow) * g.out + o]);
                sum += static_cast<double>(from) * static_cast<double>(slope);
              }
            }
          }
          dweight[pair * g.kernel * g.kernel + tap] = static_cast<float>(sum);
        });
  }
  if (dbias == nullptr) return;
  launch::cuda::for_each(
      call, g.out, DERMATOME_LAMBDA(Index o) {
        double sum = 0;
        for (Index pixel = 0; pixel < g.n * g.out_height * g.out_width; ++pixel) {
          sum += static_cast<double>(load(dy[pixel * g.out + o]));
        }
        dbias[o] = static_cast<float>(sum);
      });
}

}  // namespace
}  // namespace dermatome::conv2d

DERMATOME_CUDA_TABLE(
    conv2d, {"conv2d", DType::f32, conv2d::forward<float>},
    {"conv2d", DType::bf16, conv2d::forward<launch::Bfloat16>, nullptr, nullptr, true},
    {"conv2d_fused", DType::f32, conv2d::fused<float>},
    {"conv2d_fused", DType::bf16, conv2d::fused<launch::Bfloat16>, nullptr, nullptr, true},
    {"conv2d_sums", DType::f32, conv2d::sums<float>, conv2d::sums_workspace},
    {"conv2d_sums", DType::bf16, conv2d::sums<launch::Bfloat16>, conv2d::sums_workspace, nullptr, true},
    {"conv2d_data_gradient", DType::f32, conv2d::data_gradient<float>},
    {"conv2d_data_gradient", DType::bf16, conv2d::data_gradient<launch::Bfloat16>, nullptr, nullptr, true},
    {"conv2d_data_gradient_sums", DType::f32, conv2d::data_gradient_sums<float>, conv2d::sums_workspace},
    {"conv2d_data_gradient_sums", DType::bf16, conv2d::data_gradient_sums<launch::Bfloat16>, conv2d::sums_workspace,
     nullptr, true},
    {"conv2d_weight_gradient", DType::f32, conv2d::weight_gradient<float>},
    {"conv2d_weight_gradient", DType::bf16, conv2d::weight_gradient<launch::Bfloat16>, nullptr, nullptr, true})

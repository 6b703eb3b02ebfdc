// conv2d, its gradients and conv2d_fused through oneDNN.
#include "kernels/vendor/onednn.h"

#include "engine/core/threads.h"
#include "kernels/conv2d/geometry.h"

namespace dermatome {
namespace {

onednn::ConvolutionShape shape_of(const KernelRequest& request, const Shape& x, const Shape& y, DType result,
                                  bool bias) {
  const auto& a = request.attributes;
  return {.n = x[0],
          .height = x[1],
          .width = x[2],
          .in = x[3],
          .out_height = y[1],
          .out_width = y[2],
          .out = y[3],
          .kernel = a.integer("kernel"),
          .stride = a.integer("stride"),
          .pad = a.integer("pad"),
          .type = request.type,
          .result = result,
          .bias = bias};
}

std::unique_ptr<Kernel> forward(const KernelRequest& request) {
  const bool bias = request.has_input(2);
  return onednn::make_convolution(
      shape_of(request, request.inputs[0].shape, request.outputs[0].shape, request.outputs[0].type, bias),
      {.x = 0, .weight = 1, .bias = bias ? 2 : -1, .y = 0});
}

std::unique_ptr<Kernel> fused(const KernelRequest& request) {
  const auto& a = request.attributes;
  const auto input = [&](int i) { return request.has_input(i) ? i : -1; };
  return onednn::make_fused_convolution(
      shape_of(request, request.inputs[conv2d::kX].shape, request.outputs[0].shape, request.outputs[0].type,
               request.has_input(conv2d::kBias)),
      {.x = conv2d::kX, .weight = conv2d::kWeight, .bias = input(conv2d::kBias), .y = 0},
      {.scale = input(conv2d::kScale),
       .shift = input(conv2d::kShift),
       .residual = input(conv2d::kResidual),
       .relu_first = a.boolean("relu_first"),
       .relu = a.boolean("relu")});
}

std::unique_ptr<Kernel> data_gradient(const KernelRequest& request) {
  return onednn::make_convolution_data_gradient(
      shape_of(request, request.outputs[0].shape, request.inputs[0].shape, request.outputs[0].type, false),
      {.dy = 0, .weight = 1, .dx = 0});
}

std::unique_ptr<Kernel> weight_gradient(const KernelRequest& request) {
  if (!request.uses_output(0)) return nullptr;
  const bool bias = request.uses_output(1);
  return onednn::make_convolution_weight_gradient(
      shape_of(request, request.inputs[0].shape, request.inputs[1].shape, request.type, bias),
      {.x = 0, .dy = 1, .dweight = 0, .dbias = bias ? 1 : -1});
}

// Our own kernels pack or transform the weights in every run; oneDNN keeps a copy, which is made once where weights
// stay, as they do behind folded running statistics. So for few pixels the direct convolution is faster there. In bf16
// its products run at twice f32's rate, and it wins up to more pixels; where channels are few, up to twice as many. The
// limits are where `dermatome profile --mode infer` with and without `--disable-kernel winograd` crossed on an AMD
// EPYC.
bool has_few_pixels(const KernelRequest& request) {
  constexpr std::int64_t kFew = 32;
  constexpr std::int64_t kFewInBf16 = 128;
  constexpr std::int64_t kManyChannels = 192 * 192;
  if (!request.has_input(conv2d::kScale)) return false;
  if (request.type == DType::bf16 && has_bf16_tiles()) return false;  // products of tiles keep a copy too
  const Shape& y = request.outputs[0].shape;
  const std::int64_t pixels = y[0] * y[1] * y[2];
  if (request.type != DType::bf16) return pixels <= kFew;
  const bool few_channels = request.inputs[conv2d::kX].shape[3] * y[3] < kManyChannels;
  return pixels <= (few_channels ? 2 * kFewInBf16 : kFewInBf16);
}

std::unique_ptr<Kernel> fused_of_few_pixels(const KernelRequest& request) {
  return has_few_pixels(request) ? fused(request) : nullptr;
}

DERMATOME_REGISTER_KERNEL("conv2d", cpu, 10, "onednn", forward);
DERMATOME_REGISTER_KERNEL("conv2d_fused", cpu, 30, "onednn", fused_of_few_pixels);
DERMATOME_REGISTER_KERNEL("conv2d_fused", cpu, 10, "onednn", fused);
DERMATOME_REGISTER_KERNEL("conv2d_data_gradient", cpu, 10, "onednn", data_gradient);
DERMATOME_REGISTER_KERNEL("conv2d_weight_gradient", cpu, 10, "onednn", weight_gradient);

}  // namespace
}  // namespace dermatome

// conv2d and its gradients through cuDNN.
#include "kernels/conv2d/cudnn.h"

#include "kernels/conv2d/geometry.h"
#include "kernels/vendor/cudnn_convolution.h"

namespace dermatome {
namespace conv2d {
namespace {

cudnn::Convolution convolution_of(const KernelRequest& request, cudnn::Direction direction, const Shape& x,
                                  const Shape& y, DType result) {
  const auto& a = request.attributes;
  return {.direction = direction,
          .n = x[0],
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
          .tf32 = request.tf32,
          .deterministic = request.deterministic};
}

}  // namespace

cudnn::Convolution forward_by_cudnn(const KernelRequest& request) {
  auto convolution = convolution_of(request, cudnn::Direction::forward, request.inputs[0].shape,
                                    request.outputs[0].shape, request.outputs[0].type);
  convolution.epilogue.bias = request.has_input(kBias);
  return convolution;
}

cudnn::Convolution fused_by_cudnn(const KernelRequest& request) {
  auto convolution = forward_by_cudnn(request);
  convolution.epilogue = {.bias = request.has_input(kBias),
                          .relu_first = request.attributes.boolean("relu_first"),
                          .scale = request.has_input(kScale),
                          .residual = request.has_input(kResidual),
                          .relu = request.attributes.boolean("relu")};
  return convolution;
}

cudnn::Convolution sums_by_cudnn(const KernelRequest& request) {
  auto convolution = forward_by_cudnn(request);
  convolution.epilogue.sums = true;
  return convolution;
}

cudnn::Convolution data_gradient_by_cudnn(const KernelRequest& request) {
  return convolution_of(request, cudnn::Direction::data_gradient, request.outputs[0].shape, request.inputs[0].shape,
                        request.outputs[0].type);
}

cudnn::Convolution data_gradient_sums_by_cudnn(const KernelRequest& request) {
  auto convolution = data_gradient_by_cudnn(request);
  convolution.epilogue = {.residual = request.has_input(kAdded), .gate = true, .sums_with = true};
  return convolution;
}

cudnn::Convolution weight_gradient_by_cudnn(const KernelRequest& request) {
  return convolution_of(request, cudnn::Direction::weight_gradient, request.inputs[0].shape, request.inputs[1].shape,
                        DType::f32);
}

}  // namespace conv2d

namespace {

bool takes(const KernelRequest& request) {
  return request.type == DType::f32 || request.type == DType::bf16;
}

int given(const KernelRequest& request, int input) {
  return request.has_input(input) ? input : -1;
}

std::unique_ptr<Kernel> forward(const KernelRequest& request) {
  if (!takes(request)) return nullptr;
  return cudnn::make_convolution(conv2d::forward_by_cudnn(request), {.bias = given(request, conv2d::kBias)}, request);
}

std::unique_ptr<Kernel> fused(const KernelRequest& request) {
  if (!takes(request)) return nullptr;
  return cudnn::make_convolution(conv2d::fused_by_cudnn(request),
                                 {.bias = given(request, conv2d::kBias),
                                  .scale = given(request, conv2d::kScale),
                                  .shift = given(request, conv2d::kShift),
                                  .residual = given(request, conv2d::kResidual)},
                                 request);
}

std::unique_ptr<Kernel> sums(const KernelRequest& request) {
  const bool all_used = request.uses_output(0) && request.uses_output(1) && request.uses_output(2);
  if (!takes(request) || !all_used) return nullptr;
  return cudnn::make_convolution(conv2d::sums_by_cudnn(request), {.bias = given(request, conv2d::kBias), .sums = true},
                                 request);
}

std::unique_ptr<Kernel> data_gradient(const KernelRequest& request) {
  if (!takes(request)) return nullptr;
  return cudnn::make_convolution(conv2d::data_gradient_by_cudnn(request), {}, request);
}

std::unique_ptr<Kernel> data_gradient_sums(const KernelRequest& request) {
  const bool all_used = request.uses_output(0) && request.uses_output(1) && request.uses_output(2);
  if (!takes(request) || !all_used) return nullptr;
  return cudnn::make_convolution(
      conv2d::data_gradient_sums_by_cudnn(request),
      {.residual = given(request, conv2d::kAdded), .gate = conv2d::kGate, .other = conv2d::kOther, .sums = true},
      request);
}

std::unique_ptr<Kernel> weight_gradient(const KernelRequest& request) {
  if (!takes(request) || !request.uses_output(0)) return nullptr;
  return cudnn::make_weight_gradient(conv2d::weight_gradient_by_cudnn(request),
                                     {.x = 0, .dy = 1, .dweight = 0, .dbias = request.uses_output(1) ? 1 : -1},
                                     request);
}

DERMATOME_REGISTER_KERNEL("conv2d", cuda, 10, "cudnn", forward);
DERMATOME_REGISTER_KERNEL("conv2d_fused", cuda, 10, "cudnn", fused);
DERMATOME_REGISTER_KERNEL("conv2d_sums", cuda, 10, "cudnn", sums);
DERMATOME_REGISTER_KERNEL("conv2d_data_gradient", cuda, 10, "cudnn", data_gradient);
DERMATOME_REGISTER_KERNEL("conv2d_data_gradient_sums", cuda, 10, "cudnn", data_gradient_sums);
DERMATOME_REGISTER_KERNEL("conv2d_weight_gradient", cuda, 10, "cudnn", weight_gradient);

}  // namespace
}  // namespace dermatome

// conv_transpose2d through cuDNN, as the data gradient of a convolution whose kernel is [in, channels, k, k].
#include "kernels/conv_transpose2d/cudnn.h"

#include "kernels/vendor/cudnn_convolution.h"

namespace dermatome {

cudnn::Convolution conv_transpose2d::by_cudnn(const KernelRequest& request) {
  const auto& a = request.attributes;
  const Shape& x = request.inputs[0].shape;
  const Shape& y = request.outputs[0].shape;
  return {.direction = cudnn::Direction::data_gradient,
          .n = x[0],
          .height = y[1],
          .width = y[2],
          .in = y[3],
          .out_height = x[1],
          .out_width = x[2],
          .out = x[3],
          .kernel = a.integer("kernel"),
          .stride = a.integer("stride"),
          .pad = a.integer("pad"),
          .type = request.type,
          .result = request.outputs[0].type,
          .epilogue = {.bias = request.has_input(2)},
          .tf32 = request.tf32,
          .deterministic = request.deterministic};
}

namespace {

std::unique_ptr<Kernel> forward(const KernelRequest& request) {
  if (request.type != DType::f32 && request.type != DType::bf16) return nullptr;
  return cudnn::make_convolution(conv_transpose2d::by_cudnn(request), {.bias = request.has_input(2) ? 2 : -1}, request);
}

DERMATOME_REGISTER_KERNEL("conv_transpose2d", cuda, 10, "cudnn", forward);

}  // namespace
}  // namespace dermatome

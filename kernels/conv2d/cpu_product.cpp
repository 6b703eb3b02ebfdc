// conv2d and its gradients as matrix products over pixels (product.h); and conv_transpose2d, which is nothing but the
// data gradient of the convolution with its weight, with a bias.
#include "kernels/conv2d/product.h"
#include "kernels/launch/table.h"

namespace dermatome::conv2d {
namespace {

void forward(const Call& call) {
  const float* bias = call.input_count > 2 ? launch::in<float>(call, 2) : nullptr;
  forward_product(forward_geometry(call), launch::in<float>(call, 0), launch::in<float>(call, 1), AddBias{bias},
                  launch::out<float>(call, 0), static_cast<float*>(call.workspace));
}
void fused(const Call& call) {
  forward_product(forward_geometry(call), launch::in<float>(call, kX), launch::in<float>(call, kWeight),
                  epilogue_of<float>(call), launch::out<float>(call, 0), static_cast<float*>(call.workspace));
}
Index forward_workspace(const Call& call) {
  return forward_product_workspace(forward_geometry(call));
}
bool fits_forward(const Call& call) {
  return forward_geometry(call).out % 16 == 0;
}

void data_gradient(const Call& call) {
  data_gradient_product(data_gradient_geometry(call), launch::in<float>(call, 0), launch::in<float>(call, 1), nullptr,
                        launch::out<float>(call, 0), static_cast<float*>(call.workspace));
}
Index data_gradient_workspace(const Call& call) {
  return data_gradient_product_workspace(data_gradient_geometry(call));
}
bool fits_data_gradient(const Call& call) {
  return fits_data_gradient_product(data_gradient_geometry(call));
}

void weight_gradient(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const float* dy = launch::in<float>(call, 1);
  auto* workspace = static_cast<float*>(call.workspace);
  if (float* dbias = launch::out<float>(call, 1); dbias != nullptr) {
    bias_gradient(dy, pixels_of(g), g.out, workspace, dbias);
  }
  weight_gradient_product(g, launch::in<float>(call, 0), dy, launch::out<float>(call, 0), workspace);
}
Index weight_gradient_workspace(const Call& call) {
  const Geometry g = weight_gradient_geometry(call);
  const bool bias = call.outputs[1].data != nullptr;
  return most(weight_gradient_product_workspace(g), bias ? bias_gradient_workspace(pixels_of(g), g.out) : 0);
}
bool fits_weight_gradient(const Call& call) {
  return call.outputs[0].data != nullptr && weight_gradient_geometry(call).out % 16 == 0;
}

// The convolution's output is the transposed one's input, and its attributes stand behind the channels.
Geometry transposed_geometry(const Call& call) {
  return geometry(call.outputs[0], call.inputs[0], launch::integer(call, kKernel), launch::integer(call, kStride),
                  launch::integer(call, kPad));
}
void transposed(const Call& call) {
  const float* bias = call.input_count > 2 ? launch::in<float>(call, 2) : nullptr;
  data_gradient_product(transposed_geometry(call), launch::in<float>(call, 0), launch::in<float>(call, 1), bias,
                        launch::out<float>(call, 0), static_cast<float*>(call.workspace));
}
Index transposed_workspace(const Call& call) {
  return data_gradient_product_workspace(transposed_geometry(call));
}
bool fits_transposed(const Call& call) {
  return fits_data_gradient_product(transposed_geometry(call));
}

}  // namespace
}  // namespace dermatome::conv2d

DERMATOME_CPU_TABLE(conv2d_product,
                    {"conv2d", DType::f32, conv2d::forward, conv2d::forward_workspace, conv2d::fits_forward},
                    {"conv2d_fused", DType::f32, conv2d::fused, conv2d::forward_workspace, conv2d::fits_forward},
                    {"conv2d_data_gradient", DType::f32, conv2d::data_gradient, conv2d::data_gradient_workspace,
                     conv2d::fits_data_gradient},
                    {"conv2d_weight_gradient", DType::f32, conv2d::weight_gradient, conv2d::weight_gradient_workspace,
                     conv2d::fits_weight_gradient},
                    {"conv_transpose2d", DType::f32, conv2d::transposed, conv2d::transposed_workspace,
                     conv2d::fits_transposed})

// Sizes of a convolution out of the operands of a Call; shared by the CPU kernels and the reference.
#pragma once

#include "engine/compile/call.h"
#include "kernels/launch/host_device.h"

namespace dermatome::conv2d {
inline namespace DERMATOME_ISA {

// Attributes of conv2d in the order of its signature; the gradients share the first places.
enum { kChannels, kKernel, kStride, kPad };
enum { kGradientKernel, kGradientStride, kGradientPad };
// Inputs of conv2d_fused, and its attributes behind those that it shares with conv2d.
enum { kX, kWeight, kBias, kScale, kShift, kResidual };
enum { kReluFirst = kPad + 1, kRelu };
// Inputs of conv2d_data_gradient_sums behind dy and the weight.
enum { kGate = 2, kOther, kAdded };

// y [n, out_height, out_width, out] of x [n, height, width, in] with weight OIHW.
struct Geometry {
  std::int64_t n, height, width, in, out_height, out_width, out, kernel, stride, pad;
};

DERMATOME_HD Geometry geometry(const Operand& x, const Operand& y, std::int64_t kernel, std::int64_t stride,
                               std::int64_t pad) {
  return {x.extent[0], x.extent[1], x.extent[2], x.extent[3], y.extent[1],
          y.extent[2], y.extent[3], kernel,      stride,      pad};
}

DERMATOME_HD Geometry forward_geometry(const Call& call) {
  return geometry(call.inputs[0], call.outputs[0], call.attributes[kKernel].integer, call.attributes[kStride].integer,
                  call.attributes[kPad].integer);
}
DERMATOME_HD Geometry data_gradient_geometry(const Call& call) {
  return geometry(call.outputs[0], call.inputs[0], call.attributes[kGradientKernel].integer,
                  call.attributes[kGradientStride].integer, call.attributes[kGradientPad].integer);
}
DERMATOME_HD Geometry weight_gradient_geometry(const Call& call) {
  return geometry(call.inputs[0], call.inputs[1], call.attributes[kGradientKernel].integer,
                  call.attributes[kGradientStride].integer, call.attributes[kGradientPad].integer);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::conv2d

// oneDNN behind one file: convolutions as engine kernels. Versions 2 and 3 of its C++ API.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/compile/kernel.h"

namespace dermatome::onednn {

std::string version();  // "2.6.3"

// A 2-d convolution x [n, height, width, in] -> y [n, out_height, out_width, out], weight OIHW.
struct ConvolutionShape {
  std::int64_t n, height, width, in;
  std::int64_t out_height, out_width, out;
  std::int64_t kernel, stride, pad;
  DType type;    // of what is read
  DType result;  // of the y or dx that is written: `type`, or f32
  bool bias;
};

// Which operands of the Call are which; -1: absent.
struct ForwardOperands {
  int x, weight, bias, y;
};
// What a fused convolution does to its sums, in this order; inputs of the Call, -1: absent.
struct PostOperations {
  int scale = -1, shift = -1;  // of each channel
  int residual = -1;           // of y's shape and type
  bool relu_first = false, relu = false;
};
struct DataGradientOperands {
  int dy, weight, dx;
};
struct WeightGradientOperands {
  int x, dy, dweight, dbias;
};

// Each returns null when oneDNN has only its reference implementation for the shape, which is up to 4000 times slower.
// Weights are asked for in the primitive's own layout (Kernel::take_prepared_inputs); dweight is written in plain OIHW.
std::unique_ptr<Kernel> make_convolution(const ConvolutionShape& shape, const ForwardOperands& operands);
std::unique_ptr<Kernel> make_fused_convolution(const ConvolutionShape& shape, const ForwardOperands& operands,
                                               const PostOperations& operations);
std::unique_ptr<Kernel> make_convolution_data_gradient(const ConvolutionShape& shape,
                                                       const DataGradientOperands& operands);
std::unique_ptr<Kernel> make_convolution_weight_gradient(const ConvolutionShape& shape,
                                                         const WeightGradientOperands& operands);

// Shortest seconds of a product of two square matrices on all threads, of at least three runs and about `seconds` in
// all: the machine's matrix rate. 0 where oneDNN has only its reference implementation. f32 or bf16.
double time_matrix_product(DType type, std::int64_t side, double seconds);

}  // namespace dermatome::onednn

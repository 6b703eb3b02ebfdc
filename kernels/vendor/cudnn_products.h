// Which convolutions are matrix products, and which products those are. Free of cuBLASLt, so that the host computes the
// same products where there is no GPU.
#pragma once

#include <vector>

#include "kernels/vendor/cublaslt.h"
#include "kernels/vendor/cudnn.h"

namespace dermatome::cudnn {

// With windows of one pixel, in every direction; with windows side by side, as the data gradient, which a transposed
// convolution is. The other directions sum over the rows of a window, so it would take several products for each sum.
bool is_product(const Convolution& convolution);

// Whether the product can have the convolution's epilogue in the same kernel: a bias and ReLU are all that cuBLASLt
// has.
bool product_takes(const Convolution& convolution);

// Where a product's matrices begin: elements from the operands' first.
struct ProductPart {
  std::int64_t a = 0, b = 0, d = 0;
};

// Equal products that give the result together, each in a part of its own.
struct Products {
  cublaslt::Product each;
  std::vector<ProductPart> parts;
  bool first_is_a = false;  // of the convolution's two operands; else the second is

  const void* a_of(const Operands& operands) const { return first_is_a ? operands.first : operands.second; }
  const void* b_of(const Operands& operands) const { return first_is_a ? operands.second : operands.first; }
};
Products products_of(const Convolution& convolution);

// The plans of a candidate that is a product. Their names begin with cuBLASLt's version.
std::vector<std::string> product_plans(const Convolution& convolution, int device);
std::unique_ptr<Plan> make_product_plan(const Convolution& convolution, const std::string& name, int device);

}  // namespace dermatome::cudnn

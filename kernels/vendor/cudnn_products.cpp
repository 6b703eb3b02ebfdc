// Convolutions as matrix products. Rows of pixels are cuBLAS's columns, so the kernel comes first of the two matrices
// and a result has a channel a row, as cuBLAS's biases have.
#include "kernels/vendor/cudnn_products.h"

#include <algorithm>
#include <cstddef>

namespace dermatome::cudnn {
namespace {

using cublaslt::Product;

Product product_for(const Convolution& c) {
  return {.bias = c.epilogue.bias, .relu = c.epilogue.relu, .tf32 = c.tf32, .deterministic = c.deterministic};
}

// y[out, pixel] = kernel[in, out]^T x[in, pixel]
Products forward(const Convolution& c) {
  Product product = product_for(c);
  product.a = {.type = c.type, .rows = c.in, .columns = c.out, .leading = c.in, .transposed = true};
  product.b = {.type = c.type, .rows = c.in, .columns = c.x_pixels(), .leading = c.x_step()};
  product.d = {.type = c.result, .rows = c.out, .columns = c.y_pixels(), .leading = c.y_step()};
  return {.each = product, .parts = {{}}};
}

// kernel[in, out] = x[in, pixel] dy[out, pixel]^T
Products weight_gradient(const Convolution& c) {
  Product product = product_for(c);
  product.a = {.type = c.type, .rows = c.in, .columns = c.x_pixels(), .leading = c.x_step()};
  product.b = {.type = c.type, .rows = c.out, .columns = c.y_pixels(), .leading = c.y_step(), .transposed = true};
  product.d = {.type = c.result, .rows = c.in, .columns = c.out, .leading = c.in};
  return {.each = product, .parts = {{}}, .first_is_a = true};
}

// dx[in, pixel] = kernel[in, out] dy[out, pixel] for each tap. What a row of pixels gives of a tap has one stride, and
// the rows another: they are the batch. In a whole tensor the taps of a kernel's row lie side by side, in the kernel as
// in dx, and are one product.
Products data_gradient(const Convolution& c) {
  const std::int64_t joined = c.x_pitch > 0 ? 1 : c.kernel;
  const std::int64_t taps = c.kernel * c.kernel;
  const bool one_stride = c.kernel == 1;
  const std::int64_t pixels = one_stride ? c.y_pixels() : c.out_width;  // of one product
  const std::int64_t dx_row = c.width * c.x_step();
  Products products;
  Product& product = products.each = product_for(c);
  product.batch = one_stride ? 1 : c.n * c.out_height;
  product.a = {.type = c.type, .rows = joined * c.in, .columns = c.out, .leading = taps * c.in};
  product.b = {.type = c.type, .rows = c.out, .columns = pixels, .leading = c.y_step()};
  product.d = {.type = c.result, .rows = joined * c.in, .columns = pixels, .leading = c.kernel * c.x_step()};
  if (product.batch > 1) {
    product.b.batch_stride = pixels * c.y_step();
    product.d.batch_stride = c.kernel * dx_row;
  }
  for (std::int64_t kh = 0; kh < c.kernel; ++kh) {
    for (std::int64_t kw = 0; kw < c.kernel; kw += joined) {
      products.parts.push_back({.a = (kh * c.kernel + kw) * c.in, .d = kh * dx_row + kw * c.x_step()});
    }
  }
  return products;
}

// Bytes that an offset keeps of an alignment, which is a power of two.
std::int64_t kept_of(std::int64_t alignment, std::int64_t elements, DType type) {
  const std::int64_t bytes = elements * static_cast<std::int64_t>(size_of(type));
  return bytes == 0 ? alignment : std::min(alignment, bytes & -bytes);
}

class ProductPlan final : public Plan {
 public:
  ProductPlan(Products products, std::unique_ptr<cublaslt::Multiplication> multiplication)
      : products_(std::move(products)), multiplication_(std::move(multiplication)) {}
  std::int64_t workspace_bytes() const override { return multiplication_->workspace_bytes(); }
  std::string describe() const override { return multiplication_->describe(); }
  void run(const Operands& operands, Stream& stream) override {
    const auto from = [](const void* first, std::int64_t elements, DType type) {
      return static_cast<const std::byte*>(first) + elements * static_cast<std::int64_t>(size_of(type));
    };
    const Product& each = products_.each;
    for (const ProductPart& part : products_.parts) {
      void* d = const_cast<std::byte*>(from(operands.result, part.d, each.d.type));
      multiplication_->run({.a = from(products_.a_of(operands), part.a, each.a.type),
                            .b = from(products_.b_of(operands), part.b, each.b.type),
                            .bias = operands.bias,
                            .d = d,
                            .workspace = operands.workspace},
                           stream);
    }
  }

 private:
  Products products_;
  std::unique_ptr<cublaslt::Multiplication> multiplication_;
};

}  // namespace

bool is_product(const Convolution& c) {
  const bool side_by_side =
      c.pad == 0 && c.stride == c.kernel && c.height == c.out_height * c.kernel && c.width == c.out_width * c.kernel;
  return side_by_side && (c.kernel == 1 || c.direction == Direction::data_gradient);
}

bool product_takes(const Convolution& c) {
  const Epilogue own{.bias = c.epilogue.bias, .relu = c.epilogue.relu};
  // A bias has the type of the result, and one element for each row of it: not for several taps.
  return c.epilogue == own && (!own.bias || (c.kernel == 1 && c.result == DType::f32));
}

Products products_of(const Convolution& c) {
  Products products = c.direction == Direction::forward         ? forward(c)
                      : c.direction == Direction::data_gradient ? data_gradient(c)
                                                                : weight_gradient(c);
  Product& each = products.each;
  for (const ProductPart& part : products.parts) {
    each.alignment = kept_of(each.alignment, part.a, each.a.type);
    each.alignment = kept_of(each.alignment, part.b, each.b.type);
    each.alignment = kept_of(each.alignment, part.d, each.d.type);
  }
  return products;
}

std::vector<std::string> product_plans(const Convolution& c, int device) {
  return cublaslt::algorithms_for(products_of(c).each, device);
}

std::unique_ptr<Plan> make_product_plan(const Convolution& c, const std::string& name, int device) {
  Products products = products_of(c);
  auto multiplication = cublaslt::make_multiplication(products.each, name, device);
  if (multiplication == nullptr) return nullptr;
  return std::make_unique<ProductPlan>(std::move(products), std::move(multiplication));
}

}  // namespace dermatome::cudnn

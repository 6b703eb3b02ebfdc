// The graphs of cudnn.h in plain loops on the host, in cuDNN's layouts: what surrounds a cuDNN plan (copies of weights,
// workspace, epilogues of our own) is tested with it where there is no GPU. What cuBLASLt is to multiply is multiplied
// as it is told to.
#include <utility>

#include "engine/core/error.h"
#include "kernels/launch/element_types.h"
#include "kernels/vendor/cudnn.h"
#include "kernels/vendor/cudnn_products.h"

namespace dermatome::cudnn {
namespace {

using Index = std::int64_t;

double element(const void* memory, DType type, Index i) {
  return type == DType::f32 ? static_cast<double>(static_cast<const float*>(memory)[i])
                            : static_cast<double>(launch::widen(static_cast<const launch::Bfloat16*>(memory)[i]));
}

void put(void* memory, DType type, Index i, double value) {
  if (type == DType::f32) {
    static_cast<float*>(memory)[i] = static_cast<float>(value);
  } else {
    static_cast<launch::Bfloat16*>(memory)[i] = launch::to_bf16(value);
  }
}

class HostPlan final : public Plan {
 public:
  explicit HostPlan(const Convolution& c) : c_(c) {}
  std::int64_t workspace_bytes() const override { return 64; }  // asked for, as most of cuDNN's plans do
  std::string describe() const override { return "cudnn on the host"; }
  void run(const Operands& operands, Stream&) override {
    switch (c_.direction) {
      case Direction::forward: return forward(operands);
      case Direction::data_gradient: return data_gradient(operands);
      case Direction::weight_gradient: return weight_gradient(operands);
    }
  }

 private:
  Index x_pixel(Index n, Index h, Index w) const { return (n * c_.height + h) * c_.width + w; }
  Index y_pixel(Index n, Index h, Index w) const { return (n * c_.out_height + h) * c_.out_width + w; }
  Index at_x(Index n, Index h, Index w, Index i) const { return x_pixel(n, h, w) * c_.x_step() + i; }
  Index at_y(Index n, Index h, Index w, Index o) const { return y_pixel(n, h, w) * c_.y_step() + o; }
  Index at_kernel(Index o, Index kh, Index kw, Index i) const {
    return ((o * c_.kernel + kh) * c_.kernel + kw) * c_.in + i;
  }

  // f(output row, kernel row, input row) for all that belong together.
  template <typename F>
  static void for_each_tap(Index out, Index size, const Convolution& c, const F& f) {
    for (Index o = 0; o < out; ++o) {
      for (Index k = 0; k < c.kernel; ++k) {
        const Index i = o * c.stride - c.pad + k;
        if (i >= 0 && i < size) f(o, k, i);
      }
    }
  }

  // f(n, oh, ow, kh, kw, h, w)
  template <typename F>
  void for_each_window(const F& f) const {
    for (Index n = 0; n < c_.n; ++n) {
      for_each_tap(c_.out_height, c_.height, c_, [&](Index oh, Index kh, Index h) {
        for_each_tap(c_.out_width, c_.width, c_, [&](Index ow, Index kw, Index w) { f(n, oh, ow, kh, kw, h, w); });
      });
    }
  }

  // `sums` without what lies between slices.
  void store(const std::vector<double>& sums, const Operands& operands, Index step) const {
    const Index channels = c_.channels_written();
    std::vector<double> sum(static_cast<std::size_t>(channels));
    std::vector<double> second_sum(static_cast<std::size_t>(channels));
    std::size_t at = 0;
    for (double value : sums) {
      const Index c = static_cast<Index>(at) % channels;
      const Index i = static_cast<Index>(at++) / channels * step + c;
      if (c_.epilogue.bias) value += static_cast<double>(operands.bias[c]);
      if (c_.epilogue.relu_first && value < 0) value = 0;
      if (c_.epilogue.scale) {
        value = value * static_cast<double>(operands.scale[c]) + static_cast<double>(operands.shift[c]);
      }
      const double residual = c_.epilogue.reads_residual() ? element(operands.residual, c_.result, i) : 0;
      const double factor = c_.epilogue.residual_factor ? static_cast<double>(operands.residual_factor[c]) : 1;
      if (c_.epilogue.residual) value += residual * factor;
      if (c_.epilogue.relu && value < 0) value = 0;
      if (c_.epilogue.mask && !(residual > 0)) value = 0;
      if (c_.epilogue.gate && !(element(operands.gate, c_.result, i) > 0)) value = 0;
      sum[static_cast<std::size_t>(c)] += value;
      second_sum[static_cast<std::size_t>(c)] +=
          value * (c_.epilogue.sums_with ? element(operands.other, c_.result, i) : value);
      put(operands.result, c_.result, i, value);
    }
    if (!c_.epilogue.sums && !c_.epilogue.sums_with) return;
    for (Index c = 0; c < channels; ++c) {
      operands.sum[c] = static_cast<float>(sum[static_cast<std::size_t>(c)]);
      operands.second_sum[c] = static_cast<float>(second_sum[static_cast<std::size_t>(c)]);
    }
  }

  void forward(const Operands& operands) const {
    std::vector<double> sums(static_cast<std::size_t>(c_.y_pixels() * c_.out));
    for_each_window([&](Index n, Index oh, Index ow, Index kh, Index kw, Index h, Index w) {
      for (Index o = 0; o < c_.out; ++o) {
        double& sum = sums[static_cast<std::size_t>(y_pixel(n, oh, ow) * c_.out + o)];
        for (Index i = 0; i < c_.in; ++i) {
          sum += element(operands.first, c_.type, at_x(n, h, w, i)) *
                 element(operands.second, c_.type, at_kernel(o, kh, kw, i));
        }
      }
    });
    store(sums, operands, c_.y_step());
  }

  void data_gradient(const Operands& operands) const {
    std::vector<double> sums(static_cast<std::size_t>(c_.x_pixels() * c_.in));
    for_each_window([&](Index n, Index oh, Index ow, Index kh, Index kw, Index h, Index w) {
      for (Index o = 0; o < c_.out; ++o) {
        const double slope = element(operands.first, c_.type, at_y(n, oh, ow, o));
        for (Index i = 0; i < c_.in; ++i) {
          sums[static_cast<std::size_t>(x_pixel(n, h, w) * c_.in + i)] +=
              slope * element(operands.second, c_.type, at_kernel(o, kh, kw, i));
        }
      }
    });
    store(sums, operands, c_.x_step());
  }

  void weight_gradient(const Operands& operands) const {
    std::vector<double> sums(static_cast<std::size_t>(c_.out * c_.kernel * c_.kernel * c_.in));
    for_each_window([&](Index n, Index oh, Index ow, Index kh, Index kw, Index h, Index w) {
      for (Index o = 0; o < c_.out; ++o) {
        const double slope = element(operands.second, c_.type, at_y(n, oh, ow, o));
        for (Index i = 0; i < c_.in; ++i) {
          sums[static_cast<std::size_t>(at_kernel(o, kh, kw, i))] +=
              slope * element(operands.first, c_.type, at_x(n, h, w, i));
        }
      }
    });
    store(sums, operands, c_.out);
  }

  Convolution c_;
};

class HostProductPlan final : public Plan {
 public:
  explicit HostProductPlan(const Convolution& c) : products_(products_of(c)) {}
  std::int64_t workspace_bytes() const override { return 64; }
  std::string describe() const override { return "cublaslt on the host"; }
  void run(const Operands& operands, Stream&) override {
    for (const ProductPart& part : products_.parts) {
      for (Index i = 0; i < products_.each.batch; ++i) multiply(operands, part, i);
    }
  }

 private:
  // Element [row, column] of the matrix that is multiplied.
  static double at(const void* memory, const cublaslt::Matrix& matrix, Index first, Index row, Index column) {
    if (matrix.transposed) std::swap(row, column);
    return element(memory, matrix.type, first + column * matrix.leading + row);
  }

  void multiply(const Operands& operands, const ProductPart& part, Index of_batch) const {
    const cublaslt::Product& each = products_.each;
    const Index a = part.a + of_batch * each.a.batch_stride;
    const Index b = part.b + of_batch * each.b.batch_stride;
    const Index d = part.d + of_batch * each.d.batch_stride;
    for (Index column = 0; column < each.d.columns; ++column) {
      for (Index row = 0; row < each.d.rows; ++row) {
        double value = 0;
        for (Index k = 0; k < each.terms(); ++k) {
          value += at(products_.a_of(operands), each.a, a, row, k) * at(products_.b_of(operands), each.b, b, k, column);
        }
        if (each.bias) value += static_cast<double>(operands.bias[row]);
        if (each.relu && value < 0) value = 0;
        put(operands.result, each.d.type, d + column * each.d.leading + row, value);
      }
    }
  }

  Products products_;
};

}  // namespace

std::unique_ptr<Plan> make_host_plan(const Convolution& convolution) {
  if (convolution.product) return std::make_unique<HostProductPlan>(convolution);
  return std::make_unique<HostPlan>(convolution);
}

}  // namespace dermatome::cudnn

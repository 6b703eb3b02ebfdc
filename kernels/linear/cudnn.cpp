// linear and its gradients through cuDNN. A weight [features, in] lies as the kernel of a convolution of one pixel
// does, so nothing is copied.
#include "kernels/linear/cudnn.h"

#include "kernels/launch/operands.h"
#include "kernels/vendor/cuda_layouts.h"
#include "kernels/vendor/cudnn_convolution.h"

namespace dermatome {
namespace linear {
namespace {

cudnn::Convolution product(const KernelRequest& request, cudnn::Direction direction, std::int64_t samples,
                           std::int64_t in, std::int64_t out) {
  return {.direction = direction,
          .n = samples,
          .height = 1,
          .width = 1,
          .in = in,
          .out_height = 1,
          .out_width = 1,
          .out = out,
          .kernel = 1,
          .type = request.type,
          .result = request.type,
          .tf32 = request.tf32,
          .deterministic = request.deterministic};
}

}  // namespace

cudnn::Convolution by_cudnn(const KernelRequest& request) {
  const Shape& first = request.inputs[0].shape;
  const Shape& second = request.inputs[1].shape;
  if (request.op.name() == "linear_data_gradient") {
    return product(request, cudnn::Direction::data_gradient, first[0], second[1], first[1]);
  }
  if (request.op.name() == "linear_weight_gradient") {
    return product(request, cudnn::Direction::weight_gradient, first[0], first[1], second[1]);
  }
  auto forward = product(request, cudnn::Direction::forward, first[0], first[1], second[0]);
  forward.epilogue.bias = request.has_input(2);
  return forward;
}

}  // namespace linear

namespace {

// forward reads x, weight and bias; the data gradient dy and weight.
class ProductKernel final : public Kernel {
 public:
  explicit ProductKernel(cudnn::Planned planned) : planned_(std::move(planned)) {}
  std::size_t workspace_bytes() const override { return static_cast<std::size_t>(planned_.workspace_bytes()); }
  void run(const Call& call) override {
    planned_.run(call, {.first = call.inputs[0].data,
                        .second = call.inputs[1].data,
                        .bias = call.input_count > 2 ? launch::in<float>(call, 2) : nullptr,
                        .result = call.outputs[0].data,
                        .workspace = call.workspace});
  }
  std::string describe() const override { return planned_.plan->describe(); }

 private:
  cudnn::Planned planned_;
};

class WeightGradientKernel final : public Kernel {
 public:
  explicit WeightGradientKernel(cudnn::Planned planned) : planned_(std::move(planned)) {}
  std::size_t workspace_bytes() const override {
    const auto& c = planned_.wanted;
    return static_cast<std::size_t>(std::max(planned_.workspace_bytes(), cuda::channel_sum_workspace(c.n, c.out)));
  }
  void run(const Call& call) override {
    const Operand& dy = call.inputs[1];
    if (call.outputs[0].data != nullptr) {
      planned_.run(call, {.first = call.inputs[0].data,
                          .second = dy.data,
                          .result = call.outputs[0].data,
                          .workspace = call.workspace});
    }
    if (float* dbias = launch::out<float>(call, 1); dbias != nullptr) {
      const std::int64_t features = dy.extent[1];
      cuda::channel_sum(call, {dy.type, dy.data, dy.extent[0], features, features}, call.workspace, dbias);
    }
  }
  std::string describe() const override { return planned_.plan->describe(); }

 private:
  cudnn::Planned planned_;
};

template <typename Product>
std::unique_ptr<Kernel> make(const KernelRequest& request) {
  if (request.type != DType::f32) return nullptr;
  cudnn::Planned planned = cudnn::plan_for(linear::by_cudnn(request), request);
  if (planned.plan == nullptr) return nullptr;
  return std::make_unique<Product>(std::move(planned));
}

DERMATOME_REGISTER_KERNEL("linear", cuda, 10, "cudnn", make<ProductKernel>);
DERMATOME_REGISTER_KERNEL("linear_data_gradient", cuda, 10, "cudnn", make<ProductKernel>);
DERMATOME_REGISTER_KERNEL("linear_weight_gradient", cuda, 10, "cudnn", make<WeightGradientKernel>);

}  // namespace
}  // namespace dermatome

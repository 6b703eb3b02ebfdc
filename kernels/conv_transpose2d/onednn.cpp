// conv_transpose2d through oneDNN, as the data gradient of a convolution; the bias is added in a second pass.
#include "kernels/vendor/onednn.h"
#include "kernels/launch/cpu.h"

namespace dermatome {
namespace {

constexpr std::size_t kAlignment = 64;

// to[pixel][c] = from[pixel][c] + bias[c]
template <typename T>
void add_bias(const float* from, const float* bias, std::int64_t pixels, std::int64_t channels, T* to) {
  launch::for_each_row(pixels, channels, [=](std::int64_t pixel) {
    for (std::int64_t c = 0; c < channels; ++c) {
      to[pixel * channels + c] = launch::store<T>(from[pixel * channels + c] + bias[c]);
    }
  });
}

// Runs the convolution's data gradient, then adds the bias to every pixel: in y's own memory where that is f32,
// otherwise from f32 sums in the workspace, so that y is rounded once.
class BiasedKernel final : public Kernel {
 public:
  BiasedKernel(std::unique_ptr<Kernel> convolution, std::size_t sum_bytes)
      : convolution_(std::move(convolution)), sum_bytes_((sum_bytes + kAlignment - 1) / kAlignment * kAlignment) {}
  std::size_t workspace_bytes() const override { return sum_bytes_ + convolution_->workspace_bytes(); }
  std::vector<PreparedInput> take_prepared_inputs() override { return convolution_->take_prepared_inputs(); }
  void run(const Call& call) override {
    const Operand& y = call.outputs[0];
    Operand sums = y;
    if (sum_bytes_ > 0) sums.data = call.workspace;
    Call inner = call;
    inner.outputs = &sums;
    inner.workspace = static_cast<std::byte*>(call.workspace) + sum_bytes_;
    convolution_->run(inner);
    const auto* from = static_cast<const float*>(sums.data);
    const auto* bias = static_cast<const float*>(call.inputs[2].data);
    const std::int64_t channels = y.extent[3];
    if (y.type == DType::f32) {
      add_bias(from, bias, y.elements / channels, channels, static_cast<float*>(y.data));
    } else {
      add_bias(from, bias, y.elements / channels, channels, static_cast<launch::Bfloat16*>(y.data));
    }
  }
  std::string describe() const override { return convolution_->describe(); }

 private:
  std::unique_ptr<Kernel> convolution_;
  std::size_t sum_bytes_;
};

std::unique_ptr<Kernel> forward(const KernelRequest& request) {
  const auto& a = request.attributes;
  const Shape& x = request.inputs[0].shape;
  const Shape& y = request.outputs[0].shape;
  const bool biased = request.has_input(2);
  const DType result = biased ? DType::f32 : request.outputs[0].type;
  auto convolution = onednn::make_convolution_data_gradient({.n = x[0],
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
                                                             .result = result,
                                                             .bias = false},
                                                            {.dy = 0, .weight = 1, .dx = 0});
  if (convolution == nullptr || !biased) return convolution;
  const bool needs_sums = request.outputs[0].type != DType::f32;
  const auto sum_bytes = needs_sums ? static_cast<std::size_t>(y.elements()) * sizeof(float) : 0;
  return std::make_unique<BiasedKernel>(std::move(convolution), sum_bytes);
}

DERMATOME_REGISTER_KERNEL("conv_transpose2d", cpu, 10, "onednn", forward);

}  // namespace
}  // namespace dermatome

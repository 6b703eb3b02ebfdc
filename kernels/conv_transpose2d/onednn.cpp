// conv_transpose2d through oneDNN, as the data gradient of a convolution; the bias is added in a second pass.
#include "kernels/vendor/onednn.h"

namespace dermatome {
namespace {

// Runs the convolution's data gradient into y, then adds the bias to every pixel.
class BiasedKernel final : public Kernel {
 public:
  explicit BiasedKernel(std::unique_ptr<Kernel> convolution) : convolution_(std::move(convolution)) {}
  std::size_t workspace_bytes() const override { return convolution_->workspace_bytes(); }
  std::vector<PreparedInput> take_prepared_inputs() override { return convolution_->take_prepared_inputs(); }
  void run(const Call& call) override {
    convolution_->run(call);
    if (call.input_count < 3 || call.inputs[2].data == nullptr) return;
    const auto* bias = static_cast<const float*>(call.inputs[2].data);
    auto* y = static_cast<float*>(call.outputs[0].data);
    const std::int64_t channels = call.outputs[0].extent[3];
    const std::int64_t pixels = call.outputs[0].elements / channels;
#pragma omp parallel for schedule(static)
    for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
      float* to = y + pixel * channels;
      for (std::int64_t c = 0; c < channels; ++c) to[c] += bias[c];
    }
  }
  std::string describe() const override {
    return convolution_->describe();
  }

 private:
  std::unique_ptr<Kernel> convolution_;
};

std::unique_ptr<Kernel> forward(const KernelRequest& request) {
  if (request.type != DType::f32) return nullptr;
  const auto& a = request.attributes;
  const Shape& x = request.inputs[0].shape;
  const Shape& y = request.outputs[0].shape;
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
                                                             .bias = false},
                                                            {.dy = 0, .weight = 1, .dx = 0});
  if (convolution == nullptr) return nullptr;
  return std::make_unique<BiasedKernel>(std::move(convolution));
}

DERMATOME_REGISTER_KERNEL("conv_transpose2d", cpu, 10, "onednn", forward);

}  // namespace
}  // namespace dermatome

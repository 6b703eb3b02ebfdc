// conv_transpose2d: transposed convolution, the data gradient of a convolution with the same weight. Its own gradients
// are therefore conv2d and conv2d_weight_gradient. Weight IOHW, as in PyTorch.
#include <cmath>

#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

class ConvTranspose2d final : public Op {
 public:
  ConvTranspose2d()
      : Op({.name = "conv_transpose2d",
            .summary =
                "transposed 2-d convolution: x [n, h, w, in] becomes [n, (h-1)*stride - 2*pad + kernel, ..., channels]",
            .inputs = {reduced("x"),
                       {.name = "weight", .state = true},
                       {.name = "bias", .optional = true, .state = true}},
            .outputs = {{"y"}},
            .attributes = {required_integer("channels", 1), required_integer("kernel", 1),
                           integer_attribute("stride", 1, 1), integer_attribute("pad", 0, 0),
                           boolean_attribute("bias", true),
                           choice_attribute("output_type", {"same", "f32"}, "same")}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const Shape& x = call.shape(0);
    const Shape& w = call.shape(1);
    const auto& a = call.attributes;
    const auto kernel = a.integer("kernel");
    DERMATOME_CHECK(x.rank() == 4, "takes [n, height, width, channels], not {}", to_string(x));
    DERMATOME_CHECK((w == Shape{x[3], a.integer("channels"), kernel, kernel}), "weight {} does not fit x {}",
                    to_string(w), to_string(x));
    DERMATOME_CHECK(call.has_input(2) == a.boolean("bias"), "bias={} but the bias is {}", a.boolean("bias"),
                    call.has_input(2) ? "given" : "missing");
    DERMATOME_CHECK(!call.has_input(2) || (call.shape(2) == Shape{w[1]}), "bias {} does not fit {} channels",
                    to_string(call.shape(2)), w[1]);
    const auto size = [&](std::int64_t side) {
      return (side - 1) * a.integer("stride") - 2 * a.integer("pad") + kernel;
    };
    DERMATOME_CHECK(size(x[1]) > 0 && size(x[2]) > 0, "pad={} leaves nothing of x {}", a.integer("pad"), to_string(x));
    return {
        {a.choice("output_type") == "same" ? call.input(0).type : DType::f32, {x[0], size(x[1]), size(x[2]), w[1]}}};
  }

  bool write_full_precision(Attributes& a) const override {
    a.set("output_type", std::string("f32"));
    return true;
  }
  DType compute_type(const OpCall& call, const std::vector<TensorDesc>&) const override { return call.input(0).type; }

  // fastai 0.7 on PyTorch 0.3: weight and bias U(+-1/sqrt(in*k*k)). Today's PyTorch takes `out` instead of `in`.
  std::vector<StateSpec> states(const Attributes& a, const TensorDesc& x) const override {
    const auto channels = a.integer("channels");
    const auto kernel = a.integer("kernel");
    const DType type = x.type == DType::f64 ? DType::f64 : DType::f32;
    const Initializer init{Initializer::Kind::uniform,
                           1.0 / std::sqrt(static_cast<double>(x.shape[3] * kernel * kernel))};
    std::vector<StateSpec> states{
        {.suffix = "weight", .desc = {type, {x.shape[3], channels, kernel, kernel}}, .initializer = init, .input = 1}};
    if (a.boolean("bias")) {
      states.push_back({.suffix = "bias", .desc = {type, {channels}}, .initializer = init, .input = 2});
    }
    return states;
  }

  void gradient(GradientContext& context) const override {
    Builder& b = context.builder();
    const auto& a = context.attributes();
    const Value dy = context.upstream();
    if (context.wants(0)) {
      context.set(0, b.call("conv2d", {dy, context.input(1)},
                            {{"channels", context.desc(context.input(0)).shape[3]},
                             {"kernel", a.integer("kernel")},
                             {"stride", a.integer("stride")},
                             {"pad", a.integer("pad")},
                             {"bias", false}}));
    }
    if (context.wants(1)) {
      context.set(
          1, b.call("conv2d_weight_gradient", {dy, context.input(0)},
                    {{"kernel", a.integer("kernel")}, {"stride", a.integer("stride")}, {"pad", a.integer("pad")}}));
    }
    if (context.wants(2)) context.set(2, b.call("channel_sum", {dy}));
  }

  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    const Shape& x = call.shape(0);
    cost.flops = 2.0 * static_cast<double>(x[0] * x[1] * x[2]) * static_cast<double>(call.shape(1).elements());
    return cost;
  }
};

DERMATOME_REGISTER_OP(ConvTranspose2d);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(conv_transpose2d)

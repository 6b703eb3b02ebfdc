// conv2d, its data gradient, its weight gradient and conv2d_fused. Activations NHWC, weights OIHW.
#include <cmath>

#include "engine/graph/autograd.h"
#include "kernels/conv2d/geometry.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

std::int64_t output_size(std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
  DERMATOME_CHECK(size + 2 * pad >= kernel, "a kernel of {} does not fit into a side of {} with padding {}", kernel,
                  size, pad);
  return (size + 2 * pad - kernel) / stride + 1;
}

// Two FLOPs a multiply-add, once per output pixel and weight. The three convolution ops all do the same arithmetic.
double convolution_flops(const Shape& y, const Shape& weight) {
  return 2.0 * static_cast<double>(y[0] * y[1] * y[2]) * static_cast<double>(weight.elements());
}

class Conv2d final : public Op {
 public:
  Conv2d()
      : Op({.name = "conv2d",
            .summary = "2-d convolution (cross-correlation) with zero padding",
            .inputs = {reduced("x"),
                       {.name = "weight", .state = true},
                       {.name = "bias", .optional = true, .state = true}},
            .outputs = {{"y"}},
            .attributes = {required_integer("channels", 1), required_integer("kernel", 1),
                           integer_attribute("stride", 1, 1), integer_attribute("pad", 0, 0),
                           boolean_attribute("bias", true),
                           choice_attribute("init", {"kaiming_normal", "uniform"}, "kaiming_normal"),
                           choice_attribute("output_type", {"same", "f32"}, "same")}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const Shape& x = call.shape(0);
    const Shape& w = call.shape(1);
    const auto& a = call.attributes;
    const auto kernel = a.integer("kernel");
    DERMATOME_CHECK(x.rank() == 4, "takes [n, height, width, channels], not {}", to_string(x));
    DERMATOME_CHECK((w == Shape{a.integer("channels"), x[3], kernel, kernel}), "weight {} does not fit x {}",
                    to_string(w), to_string(x));
    DERMATOME_CHECK(call.has_input(2) == a.boolean("bias"), "bias={} but the bias is {}", a.boolean("bias"),
                    call.has_input(2) ? "given" : "missing");
    DERMATOME_CHECK(!call.has_input(2) || (call.shape(2) == Shape{w[0]}), "bias {} does not fit {} channels",
                    to_string(call.shape(2)), w[0]);
    return {{a.choice("output_type") == "same" ? call.input(0).type : DType::f32,
             {x[0], output_size(x[1], kernel, a.integer("stride"), a.integer("pad")),
              output_size(x[2], kernel, a.integer("stride"), a.integer("pad")), w[0]}}};
  }

  bool write_full_precision(Attributes& a) const override {
    a.set("output_type", std::string("f32"));
    return true;
  }
  DType compute_type(const OpCall& call, const std::vector<TensorDesc>&) const override { return call.input(0).type; }

  // kaiming_normal: He et al. 2015 (arXiv 1502.01852), fan out, gain sqrt 2, as torchvision's ResNet.
  // uniform: U(+-1/sqrt(in*k*k)), weight and bias, as PyTorch 0.3 and fastai 0.7.
  std::vector<StateSpec> states(const Attributes& a, const TensorDesc& x) const override {
    const auto channels = a.integer("channels");
    const auto kernel = a.integer("kernel");
    const DType type = x.type == DType::f64 ? DType::f64 : DType::f32;
    const double fan_in = static_cast<double>(x.shape[3] * kernel * kernel);
    const double fan_out = static_cast<double>(channels * kernel * kernel);
    const bool uniform = a.choice("init") == "uniform";
    const Initializer weight{uniform ? Initializer::Kind::uniform : Initializer::Kind::normal,
                             uniform ? 1.0 / std::sqrt(fan_in) : std::sqrt(2.0 / fan_out)};
    std::vector<StateSpec> states{{.suffix = "weight",
                                   .desc = {type, {channels, x.shape[3], kernel, kernel}},
                                   .initializer = weight,
                                   .input = 1}};
    if (a.boolean("bias")) {
      states.push_back({.suffix = "bias",
                        .desc = {type, {channels}},
                        .initializer = {Initializer::Kind::uniform, 1.0 / std::sqrt(fan_in)},
                        .input = 2});
    }
    return states;
  }

  void gradient(GradientContext& context) const override {
    Builder& b = context.builder();
    const auto& a = context.attributes();
    const Shape& x = context.desc(context.input(0)).shape;
    if (context.wants(0)) {
      context.set(0, b.call("conv2d_data_gradient", {context.upstream(), context.input(1)},
                            {{"kernel", a.integer("kernel")},
                             {"stride", a.integer("stride")},
                             {"pad", a.integer("pad")},
                             {"height", x[1]},
                             {"width", x[2]}}));
    }
    if (!context.wants(1) && !context.wants(2)) return;
    const auto gradients =
        b.call_all("conv2d_weight_gradient", {context.input(0), context.upstream()},
                   {{"kernel", a.integer("kernel")}, {"stride", a.integer("stride")}, {"pad", a.integer("pad")}});
    if (context.wants(1)) context.set(1, gradients[0]);
    if (context.wants(2)) context.set(2, gradients[1]);
  }

  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = convolution_flops(outputs[0].shape, call.shape(1));
    return cost;
  }
};

class Conv2dDataGradient final : public Op {
 public:
  Conv2dDataGradient()
      : Op({.name = "conv2d_data_gradient",
            .summary = "gradient of conv2d by x: dy and the weight give dx of the stated height and width",
            .inputs = {reduced("dy"), {"weight"}},
            .outputs = {{"dx"}},
            .attributes = {required_integer("kernel", 1), integer_attribute("stride", 1, 1),
                           integer_attribute("pad", 0, 0), required_integer("height", 1),
                           required_integer("width", 1)}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const Shape& dy = call.shape(0);
    const Shape& w = call.shape(1);
    const auto& a = call.attributes;
    DERMATOME_CHECK(dy.rank() == 4 && w.rank() == 4 && dy[3] == w[0], "weight {} does not fit dy {}", to_string(w),
                    to_string(dy));
    const auto check = [&](std::int64_t size, std::int64_t out) {
      DERMATOME_CHECK(output_size(size, a.integer("kernel"), a.integer("stride"), a.integer("pad")) == out,
                      "dy {} does not belong to an x of {} x {}", to_string(dy), a.integer("height"),
                      a.integer("width"));
    };
    check(a.integer("height"), dy[1]);
    check(a.integer("width"), dy[2]);
    return {{call.input(0).type, {dy[0], a.integer("height"), a.integer("width"), w[1]}}};
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = convolution_flops(call.shape(0), call.shape(1));
    return cost;
  }
};

// A data gradient that also gives what the gradient of the batch norm in front of it would be read for. The compiler
// makes it (batch_norm_relu/rewrite.cpp).
class Conv2dDataGradientSums final : public Op {
 public:
  Conv2dDataGradientSums()
      : Op({.name = "conv2d_data_gradient_sums",
            .summary = "g = conv2d_data_gradient + added where gate is positive, else 0, with each channel's sums of g "
                       "and of g * other; made by the pass batch_norm_gradient_sums",
            .inputs = {reduced("dy"),
                       {"weight"},
                       reduced("gate"),
                       reduced("other"),
                       {.name = "added", .optional = true, .precision = Precision::reduced}},
            .outputs = {{"g"}, {"sum"}, {"sum_of_products"}},
            .attributes = op_named("conv2d_data_gradient").signature().attributes}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    auto outputs = op_named("conv2d_data_gradient").infer({call.attributes, {&call.input(0), &call.input(1)}});
    for (const int i : {int{conv2d::kGate}, int{conv2d::kOther}, int{conv2d::kAdded}}) {
      DERMATOME_CHECK(!call.has_input(i) || call.input(i) == outputs[0], "{} is {} but dx is {}",
                      signature().inputs[static_cast<std::size_t>(i)].name, to_string(call.input(i)),
                      to_string(outputs[0]));
    }
    outputs.resize(3, {call.input(1).type, {outputs[0].shape[3]}});
    return outputs;
  }
  DType compute_type(const OpCall& call, const std::vector<TensorDesc>&) const override { return call.input(0).type; }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = convolution_flops(call.shape(0), call.shape(1));
    return cost;
  }
};

class Conv2dWeightGradient final : public Op {
 public:
  Conv2dWeightGradient()
      : Op({.name = "conv2d_weight_gradient",
            .summary = "gradients of conv2d by weight and bias",
            .inputs = {reduced("x"), reduced("dy")},
            .outputs = {{"dweight"}, {"dbias"}},
            .attributes = {required_integer("kernel", 1), integer_attribute("stride", 1, 1),
                           integer_attribute("pad", 0, 0)}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const Shape& x = call.shape(0);
    const Shape& dy = call.shape(1);
    const auto kernel = call.attributes.integer("kernel");
    DERMATOME_CHECK(x.rank() == 4 && dy.rank() == 4 && x[0] == dy[0], "dy {} does not belong to x {}", to_string(dy),
                    to_string(x));
    const DType type = call.input(0).type == DType::f64 ? DType::f64 : DType::f32;
    return {{type, {dy[3], x[3], kernel, kernel}}, {type, {dy[3]}}};
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = convolution_flops(call.shape(1), outputs[0].shape);
    return cost;
  }
  DType compute_type(const OpCall& call, const std::vector<TensorDesc>&) const override { return call.input(0).type; }
};

// What conv2d makes of the same x, weight and bias.
std::vector<TensorDesc> infer_as_conv2d(const OpCall& call) {
  Attributes plain(op_named("conv2d").signature().attributes);
  for (const char* name : {"channels", "kernel", "stride", "pad"}) plain.set(name, call.attributes.integer(name));
  plain.set("bias", call.has_input(conv2d::kBias));
  return op_named("conv2d").infer({plain,
                                   {&call.input(conv2d::kX), &call.input(conv2d::kWeight),
                                    call.has_input(conv2d::kBias) ? &call.input(conv2d::kBias) : nullptr}});
}

// A convolution that also gives what the batch norm behind it would read y for. The compiler makes it (rewrite.cpp).
class Conv2dSums final : public Op {
 public:
  Conv2dSums()
      : Op({.name = "conv2d_sums",
            .summary = "conv2d, with each channel's sums of y and of its square; made by the pass batch_norm_sums",
            .inputs = {reduced("x"), {"weight"}, {.name = "bias", .optional = true}},
            .outputs = {{"y"}, {"sum"}, {"sum_of_squares"}},
            .attributes = {required_integer("channels", 1), required_integer("kernel", 1),
                           integer_attribute("stride", 1, 1), integer_attribute("pad", 0, 0)}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    auto outputs = infer_as_conv2d(call);
    outputs.resize(3, {call.input(conv2d::kWeight).type, {outputs[0].shape[3]}});
    return outputs;
  }
  DType compute_type(const OpCall& call, const std::vector<TensorDesc>&) const override { return call.input(0).type; }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = convolution_flops(outputs[0].shape, call.shape(conv2d::kWeight));
    return cost;
  }
};

// A convolution and what follows it up to the next one, in one pass over its output. The compiler makes it
// (rewrite.cpp) where no gradient asks for what lies in between.
class Conv2dFused final : public Op {
 public:
  Conv2dFused()
      : Op({.name = "conv2d_fused",
            .summary =
                "relu(relu_first(conv2d(x, weight, bias)) * scale + shift + residual), each part where it is given",
            .inputs = {reduced("x"),
                       {"weight"},
                       {.name = "bias", .optional = true},
                       {.name = "scale", .optional = true},
                       {.name = "shift", .optional = true},
                       {.name = "residual", .optional = true, .precision = Precision::follows}},
            .outputs = {{"y"}},
            .attributes = {required_integer("channels", 1), required_integer("kernel", 1),
                           integer_attribute("stride", 1, 1), integer_attribute("pad", 0, 0),
                           boolean_attribute("relu_first", false), boolean_attribute("relu", false)}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const auto outputs = infer_as_conv2d(call);
    DERMATOME_CHECK(call.has_input(conv2d::kScale) == call.has_input(conv2d::kShift),
                    "takes scale and shift together or neither");
    for (const int i : {int{conv2d::kScale}, int{conv2d::kShift}}) {
      DERMATOME_CHECK(!call.has_input(i) || (call.shape(i) == Shape{outputs[0].shape[3]}),
                      "{} {} does not fit {} channels", signature().inputs[static_cast<std::size_t>(i)].name,
                      to_string(call.shape(i)), outputs[0].shape[3]);
    }
    DERMATOME_CHECK(!call.has_input(conv2d::kResidual) || call.input(conv2d::kResidual) == outputs[0],
                    "cannot add the residual {} to {}", to_string(call.input(conv2d::kResidual)),
                    to_string(outputs[0]));
    return outputs;
  }

  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = convolution_flops(outputs[0].shape, call.shape(conv2d::kWeight));
    return cost;
  }

  // Scale and shift are those of a batch norm whose statistics are 0 and 1.
  std::vector<Value> composition(Builder& b, const Attributes& a, const std::vector<Value>& inputs) const override {
    Value y = b.call("conv2d", {inputs[conv2d::kX], inputs[conv2d::kWeight], inputs[conv2d::kBias]},
                     {{"channels", a.integer("channels")},
                      {"kernel", a.integer("kernel")},
                      {"stride", a.integer("stride")},
                      {"pad", a.integer("pad")},
                      {"bias", static_cast<bool>(inputs[conv2d::kBias])}});
    if (a.boolean("relu_first")) y = b.call("relu", {y});
    if (const Value scale = inputs[conv2d::kScale]; scale) {
      const TensorDesc desc = b.desc(scale);
      y = b.call("batch_norm", {y, scale, inputs[conv2d::kShift], b.fill(desc, 0), b.fill(desc, 1)},
                 {{"eps", 0.0}, {"mode", std::string("eval")}});
    }
    if (inputs[conv2d::kResidual]) y = b.add(y, inputs[conv2d::kResidual]);
    if (a.boolean("relu")) y = b.call("relu", {y});
    return {y};
  }
};

DERMATOME_REGISTER_OP(Conv2d);
DERMATOME_REGISTER_OP(Conv2dFused);
DERMATOME_REGISTER_OP(Conv2dSums);
DERMATOME_REGISTER_OP(Conv2dDataGradient);
DERMATOME_REGISTER_OP(Conv2dDataGradientSums);
DERMATOME_REGISTER_OP(Conv2dWeightGradient);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(conv2d)
DERMATOME_REGISTER_CPU_TABLE_AS(conv2d_tiles, "tiles", 25)
DERMATOME_REGISTER_CPU_TABLE_AS(conv2d_tiles_weight_gradient, "tiles", 25)
DERMATOME_REGISTER_CPU_TABLE_AS(conv2d_winograd, "winograd", 20)
DERMATOME_REGISTER_CPU_TABLE_AS(conv2d_winograd_weight_gradient, "winograd", 20)
DERMATOME_REGISTER_CPU_TABLE_AS(conv2d_product, "product", 15)

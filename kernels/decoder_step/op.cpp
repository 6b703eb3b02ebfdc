// decoder_step: a step of U-Net's decoder in one operation, and its gradients. Normalisation in front of a transposed
// convolution whose windows do not overlap is folded into its weights, so no normalised tensor exists; the halves of
// the concatenation are written and read where they lie, so it costs no copy.
#include "engine/graph/autograd.h"
#include "kernels/batch_norm/signature.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

AttributeSpec mode_attribute() {
  return choice_attribute("mode", {"none", "train", "frozen", "eval"}, "none");
}

void check_weight(const Shape& x, const Shape& weight, std::int64_t kernel) {
  DERMATOME_CHECK(x.rank() == 4, "takes [n, height, width, channels], not {}", to_string(x));
  DERMATOME_CHECK(weight.rank() == 4 && weight[0] == x[3] && weight[2] == kernel && weight[3] == kernel,
                  "weight {} does not fit x {}", to_string(weight), to_string(x));
}

class DecoderStep final : public Op {
 public:
  DecoderStep()
      : Op({.name = "decoder_step",
            .summary = "conv_transpose2d(batch_norm(x)) with kernel = stride; with skip: relu of it and conv2d(skip), "
                       "side by side; made by the pass restructured_decoder",
            .inputs = {reduced("x"),
                       {"weight"},
                       {"bias"},
                       {.name = "skip", .optional = true, .precision = Precision::reduced},
                       {.name = "skip_weight", .optional = true},
                       {.name = "skip_bias", .optional = true},
                       {.name = "gamma", .optional = true},
                       {.name = "beta", .optional = true},
                       {.name = "running_mean", .optional = true},
                       {.name = "running_var", .optional = true}},
            .outputs = {{.name = "y"},
                        {.name = "mean", .differentiable = false},
                        {.name = "inverse_deviation", .differentiable = false},
                        {.name = "new_running_mean", .differentiable = false},
                        {.name = "new_running_var", .differentiable = false}},
            .attributes = {required_integer("kernel", 1), real_attribute("eps", 1e-5, 0),
                           real_attribute("momentum", 0.1, 0, 1), mode_attribute(),
                           choice_attribute("output_type", {"same", "f32"}, "same")}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const Shape& x = call.shape(0);
    const Shape& w = call.shape(1);
    const auto kernel = call.attributes.integer("kernel");
    check_weight(x, w, kernel);
    DERMATOME_CHECK((call.shape(2) == Shape{w[1]}), "bias {} does not fit {} channels", to_string(call.shape(2)), w[1]);
    Shape y{x[0], x[1] * kernel, x[2] * kernel, w[1]};
    DERMATOME_CHECK(call.has_input(3) == call.has_input(4) && call.has_input(3) == call.has_input(5),
                    "skip, its weight and its bias belong together");
    if (call.has_input(3)) {
      const Shape& skip = call.shape(3);
      const Shape& sw = call.shape(4);
      DERMATOME_CHECK(skip.rank() == 4 && skip[0] == y[0] && skip[1] == y[1] && skip[2] == y[2] &&
                          call.input(3).type == call.input(0).type,
                      "skip {} does not belong to x {}", to_string(call.input(3)), to_string(call.input(0)));
      DERMATOME_CHECK(sw.rank() == 4 && sw[1] == skip[3] && sw[2] == 1 && sw[3] == 1,
                      "skip_weight {} does not fit skip {}", to_string(sw), to_string(skip));
      DERMATOME_CHECK((call.shape(5) == Shape{sw[0]}), "skip_bias {} does not fit {} channels",
                      to_string(call.shape(5)), sw[0]);
      y = Shape{y[0], y[1], y[2], w[1] + sw[0]};
    }
    const bool same = call.attributes.choice("output_type") == "same";
    std::vector<TensorDesc> outputs{{same ? call.input(0).type : DType::f32, y}};
    const std::string mode{call.attributes.choice("mode")};
    for (int i = 6; i < 10; ++i) {
      DERMATOME_CHECK(call.has_input(i) == (mode != "none"), "mode={} but the normalisation's inputs are {}", mode,
                      call.has_input(i) ? "given" : "missing");
      DERMATOME_CHECK(mode == "none" || (call.shape(i) == Shape{x[3]}), "input {} is {} but x has {} channels", i,
                      to_string(call.shape(i)), x[3]);
    }
    if (mode != "train") return outputs;
    DERMATOME_CHECK(x.elements() > x[3], "batch statistics need more than one value a channel, x is {}", to_string(x));
    outputs.resize(5, call.input(6));
    return outputs;
  }

  bool write_full_precision(Attributes& a) const override {
    a.set("output_type", std::string("f32"));
    return true;
  }
  DType compute_type(const OpCall& call, const std::vector<TensorDesc>&) const override { return call.input(0).type; }

  // Of all its states only the running statistics are no parameters.
  std::vector<StateSpec> states(const Attributes& a, const TensorDesc& x) const override {
    if (a.choice("mode") == "none") return {};
    return batch_norm::running_statistics(a, x, 8);
  }

  std::vector<InPlace> in_place(const OpCall& call) const override {
    if (call.attributes.choice("mode") != "train") return {};
    return {{.output = 3, .input = 8}, {.output = 4, .input = 9}};
  }

  void gradient(GradientContext& context) const override {
    Builder& b = context.builder();
    const auto& a = context.attributes();
    const bool joined = context.has_input(3);
    const std::string mode{a.choice("mode")};
    const Value dy = joined ? b.call("relu_gradient", {context.upstream(), context.output(0)}) : context.upstream();
    std::vector<Value> inputs{dy, context.input(0), context.input(1)};
    if (mode != "none") {
      const bool train = mode == "train";
      inputs.insert(inputs.end(), {context.input(6), context.input(7), train ? context.output(1) : context.input(8),
                                   train ? context.output(2) : context.input(9)});
    }
    const AttributeList attributes{{"kernel", a.integer("kernel")}, {"eps", a.real("eps")}, {"mode", mode}};
    const auto gradients = b.call_all("decoder_step_gradient", inputs, attributes);
    const int places[] = {0, 1, 2, 6, 7};
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (context.wants(places[i])) context.set(places[i], gradients[i]);
    }
    if (!joined || !(context.wants(3) || context.wants(4) || context.wants(5))) return;
    const auto of_skip = b.call_all("decoder_skip_gradient", {dy, context.input(3), context.input(4)});
    for (int i = 0; i < 3; ++i) {
      if (context.wants(3 + i)) context.set(3 + i, of_skip[static_cast<std::size_t>(i)]);
    }
  }

  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    const Shape& x = call.shape(0);
    const Shape& y = outputs[0].shape;
    cost.flops = 2.0 * static_cast<double>(x[0] * x[1] * x[2]) * static_cast<double>(call.shape(1).elements());
    if (call.has_input(3))
      cost.flops += 2.0 * static_cast<double>(y[0] * y[1] * y[2]) * static_cast<double>(call.shape(4).elements());
    if (call.attributes.choice("mode") == "train") cost.bytes += static_cast<double>(call.input(0).bytes());
    return cost;
  }

  std::vector<Value> composition(Builder& b, const Attributes& a, const std::vector<Value>& inputs) const override {
    const auto kernel = a.integer("kernel");
    const std::string mode{a.choice("mode")};
    std::vector<Value> outputs{inputs[0]};
    if (mode != "none") {
      outputs = b.call_all("batch_norm", {inputs[0], inputs[6], inputs[7], inputs[8], inputs[9]},
                           {{"eps", a.real("eps")}, {"momentum", a.real("momentum")}, {"mode", mode}});
    }
    const AttributeList transposed{{"channels", b.desc(inputs[1]).shape[1]}, {"kernel", kernel}, {"stride", kernel}};
    outputs[0] = b.call("conv_transpose2d", {outputs[0], inputs[1], inputs[2]}, transposed);
    if (inputs.size() > 3 && inputs[3]) {
      const AttributeList direct{{"channels", b.desc(inputs[4]).shape[0]}, {"kernel", std::int64_t{1}}};
      const Value skip = b.call("conv2d", {inputs[3], inputs[4], inputs[5]}, direct);
      outputs[0] = b.call("relu", {b.call("concat", {outputs[0], skip})});
    }
    return outputs;
  }
};

class DecoderStepGradient final : public Op {
 public:
  DecoderStepGradient()
      : Op({.name = "decoder_step_gradient",
            .summary = "gradients of decoder_step by x, weight, bias, gamma and beta; dy's first channels are read; "
                       "masked: dx is zero where x is",
            .inputs = {reduced("dy"),
                       reduced("x"),
                       {"weight"},
                       {.name = "gamma", .optional = true},
                       {.name = "beta", .optional = true},
                       {.name = "mean", .optional = true},
                       {.name = "last", .optional = true}},
            .outputs = {{"dx"}, {"dweight"}, {"dbias"}, {"dgamma"}, {"dbeta"}},
            .attributes = {required_integer("kernel", 1), real_attribute("eps", 1e-5, 0), mode_attribute(),
                           boolean_attribute("masked", false)}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const Shape& dy = call.shape(0);
    const Shape& x = call.shape(1);
    const Shape& w = call.shape(2);
    const auto kernel = call.attributes.integer("kernel");
    check_weight(x, w, kernel);
    DERMATOME_CHECK(dy.rank() == 4 && dy[0] == x[0] && dy[1] == x[1] * kernel && dy[2] == x[2] * kernel &&
                        dy[3] >= w[1] && call.input(0).type == call.input(1).type,
                    "dy {} does not belong to x {}", to_string(call.input(0)), to_string(call.input(1)));
    std::vector<TensorDesc> outputs{call.input(1), call.input(2), {call.input(2).type, {w[1]}}};
    const bool normalised = call.attributes.choice("mode") != "none";
    for (int i = 3; i < 7; ++i) {
      DERMATOME_CHECK(call.has_input(i) == normalised, "mode={} but the normalisation's inputs are {}",
                      call.attributes.choice("mode"), call.has_input(i) ? "given" : "missing");
      DERMATOME_CHECK(!normalised || (call.shape(i) == Shape{x[3]}), "input {} is {} but x has {} channels", i,
                      to_string(call.shape(i)), x[3]);
    }
    if (normalised) outputs.resize(5, call.input(3));
    return outputs;
  }
  std::vector<InPlace> in_place(const OpCall&) const override { return {{.output = 0, .input = 1}}; }
  DType compute_type(const OpCall& call, const std::vector<TensorDesc>&) const override { return call.input(0).type; }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    const Shape& x = call.shape(1);
    cost.flops = 4.0 * static_cast<double>(x[0] * x[1] * x[2]) * static_cast<double>(call.shape(2).elements());
    return cost;
  }
};

class DecoderSkipGradient final : public Op {
 public:
  DecoderSkipGradient()
      : Op({.name = "decoder_skip_gradient",
            .summary = "gradients of decoder_step by skip, its weight and its bias; dy's last channels are read",
            .inputs = {reduced("dy"), reduced("skip"), {"weight"}},
            .outputs = {{"dskip"}, {"dweight"}, {"dbias"}},
            .attributes = {}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const Shape& dy = call.shape(0);
    const Shape& skip = call.shape(1);
    const Shape& w = call.shape(2);
    DERMATOME_CHECK(dy.rank() == 4 && skip.rank() == 4 && w.rank() == 4 && dy[0] == skip[0] && dy[1] == skip[1] &&
                        dy[2] == skip[2] && w[1] == skip[3] && dy[3] >= w[0] && w[2] == 1 && w[3] == 1 &&
                        call.input(0).type == call.input(1).type,
                    "dy {}, skip {} and weight {} do not belong together", to_string(call.input(0)),
                    to_string(call.input(1)), to_string(w));
    return {call.input(1), call.input(2), {call.input(2).type, {w[0]}}};
  }
  DType compute_type(const OpCall& call, const std::vector<TensorDesc>&) const override { return call.input(0).type; }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    const Shape& skip = call.shape(1);
    cost.flops = 4.0 * static_cast<double>(skip[0] * skip[1] * skip[2]) * static_cast<double>(call.shape(2).elements());
    return cost;
  }
};

DERMATOME_REGISTER_OP(DecoderStep);
DERMATOME_REGISTER_OP(DecoderStepGradient);
DERMATOME_REGISTER_OP(DecoderSkipGradient);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(decoder_step)
DERMATOME_REGISTER_CPU_TABLE_AS(decoder_step_narrow, "narrow", 0)
DERMATOME_REGISTER_CPU_TABLE(decoder_step_gradient)
DERMATOME_REGISTER_CPU_TABLE(decoder_skip_gradient)

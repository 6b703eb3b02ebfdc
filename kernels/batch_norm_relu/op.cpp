// batch_norm_relu: batch norm, the addition of a residual and ReLU in one operation, and its gradient. ReLU's mask is
// recomputed from x and the statistics, or read off y where something was added; so the passes over memory shrink.
#include "engine/graph/autograd.h"
#include "kernels/batch_norm/signature.h"
#include "kernels/batch_norm_relu/math.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

using batch_norm::check_channels;
using batch_norm::mode_attribute;

class BatchNormRelu final : public Op {
 public:
  BatchNormRelu()
      : Op({.name = "batch_norm_relu",
            .summary = "max(batch_norm(x) + residual, 0); the batch's statistics come from the sums of x and of its "
                       "square where they are given; made by the pass fuse_batch_norm_relu",
            .inputs = {follows("x"),
                       {"weight"},
                       {"bias"},
                       {"running_mean"},
                       {"running_var"},
                       {.name = "residual", .optional = true, .precision = Precision::follows},
                       {.name = "sum", .optional = true},
                       {.name = "sum_of_squares", .optional = true}},
            .outputs = {{.name = "y"},
                        {.name = "mean", .differentiable = false},
                        {.name = "inverse_deviation", .differentiable = false},
                        {.name = "new_running_mean", .differentiable = false},
                        {.name = "new_running_var", .differentiable = false}},
            .attributes = {real_attribute("eps", 1e-5, 0), real_attribute("momentum", 0.1, 0, 1), mode_attribute()}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    check_channels(call, 0, 1, 4);
    const TensorDesc& x = call.input(0);
    DERMATOME_CHECK(!call.has_input(5) || call.input(5) == x, "residual is {} but x is {}", to_string(call.input(5)),
                    to_string(x));
    std::vector<TensorDesc> outputs{x};
    const bool train = call.attributes.choice("mode") == "train";
    for (const int i : {int{batch_norm_relu::kSum}, int{batch_norm_relu::kSumOfSquares}}) {
      DERMATOME_CHECK(call.has_input(i) == call.has_input(batch_norm_relu::kSum) && (train || !call.has_input(i)),
                      "takes both sums or none, and with batch statistics only");
      DERMATOME_CHECK(!call.has_input(i) || call.input(i) == call.input(1), "sums {} do not fit x {}",
                      to_string(call.input(i)), to_string(x));
    }
    if (!train) return outputs;
    DERMATOME_CHECK(x.shape.elements() > x.shape[-1], "batch statistics need more than one value a channel, x is {}",
                    to_string(x));
    outputs.resize(5, call.input(1));
    return outputs;
  }

  // Of all its states only the running statistics are no parameters.
  std::vector<StateSpec> states(const Attributes& a, const TensorDesc& x) const override {
    return batch_norm::running_statistics(a, x, 3);
  }

  std::vector<InPlace> in_place(const OpCall& call) const override {
    std::vector<InPlace> pairs;
    if (call.attributes.choice("mode") == "train") {
      pairs = {{.output = 3, .input = 3}, {.output = 4, .input = 4}};
    } else {
      pairs = {{.output = 0, .input = 0}};
    }
    if (call.has_input(5)) pairs.push_back({.output = 0, .input = 5});
    return pairs;
  }

  void gradient(GradientContext& context) const override {
    const auto& a = context.attributes();
    const bool train = a.choice("mode") == "train";
    std::vector<Value> inputs{context.upstream(),
                              context.input(0),
                              context.input(1),
                              context.input(2),
                              train ? context.output(1) : context.input(3),
                              train ? context.output(2) : context.input(4)};
    if (context.has_input(5)) inputs.push_back(context.output(0));
    const auto gradients =
        context.builder().call_all("batch_norm_relu_gradient", inputs, {{"eps", a.real("eps")}, {"fixed", !train}});
    const int places[] = {0, 1, 2, 5};
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (context.wants(places[i])) context.set(places[i], gradients[i]);
    }
  }

  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    const bool train = call.attributes.choice("mode") == "train";
    cost.flops = (train ? 7.0 : 3.0) * static_cast<double>(outputs[0].shape.elements());
    if (train) cost.bytes += static_cast<double>(call.input(0).bytes());  // read for the sums, then to be normalised
    return cost;
  }

  // With sums given there is none: batch_norm takes its own.
  std::vector<Value> composition(Builder& b, const Attributes& a, const std::vector<Value>& inputs) const override {
    if (inputs.size() > batch_norm_relu::kSum && inputs[batch_norm_relu::kSum]) return {};
    auto outputs =
        b.call_all("batch_norm", {inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]},
                   {{"eps", a.real("eps")}, {"momentum", a.real("momentum")}, {"mode", std::string(a.choice("mode"))}});
    if (inputs.size() > 5 && inputs[5]) outputs[0] = b.add(outputs[0], inputs[5]);
    outputs[0] = b.call("relu", {outputs[0]});
    return outputs;
  }
};

class BatchNormReluGradient final : public Op {
 public:
  BatchNormReluGradient()
      : Op({.name = "batch_norm_relu_gradient",
            .summary = "gradients of batch_norm_relu by x, gamma and beta, and with y by the residual; fixed: last is "
                       "the running variance, else the inverse deviation; where the sums of dy and of dy * x are "
                       "given, dy is zero already where ReLU let nothing through",
            .inputs = {follows("dy"),
                       follows("x"),
                       {"weight"},
                       {"bias"},
                       {"mean"},
                       {"last"},
                       {.name = "y", .optional = true, .precision = Precision::follows},
                       {.name = "sum", .optional = true},
                       {.name = "sum_of_products", .optional = true}},
            .outputs = {{"dx"}, {"dweight"}, {"dbias"}, {"dresidual"}},
            .attributes = {real_attribute("eps", 1e-5, 0), boolean_attribute("fixed", false)}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    check_channels(call, 1, 2, 5);
    for (const int i : {0, int{batch_norm_relu::kOutput}}) {
      DERMATOME_CHECK(!call.has_input(i) || call.input(i) == call.input(1), "input {} is {} but x is {}", i,
                      to_string(call.input(i)), to_string(call.input(1)));
    }
    for (const int i : {int{batch_norm_relu::kGradientSum}, int{batch_norm_relu::kSumOfProducts}}) {
      DERMATOME_CHECK(call.has_input(i) == call.has_input(batch_norm_relu::kGradientSum) &&
                          !(call.has_input(i) && call.has_input(batch_norm_relu::kOutput)),
                      "takes both sums, or y, or neither");
      DERMATOME_CHECK(!call.has_input(i) || call.input(i) == call.input(2), "sums {} do not fit x {}",
                      to_string(call.input(i)), to_string(call.input(1)));
    }
    std::vector<TensorDesc> outputs{call.input(1), call.input(2), call.input(2)};
    if (call.has_input(batch_norm_relu::kOutput)) outputs.push_back(call.input(1));
    return outputs;
  }
  std::vector<InPlace> in_place(const OpCall& call) const override {
    if (call.has_input(batch_norm_relu::kOutput)) return {{.output = 3, .input = 0}};
    return {{.output = 0, .input = 0}};
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = 10.0 * static_cast<double>(outputs[0].shape.elements());
    // dy and x are read for the sums and again for dx.
    if (!call.has_input(batch_norm_relu::kGradientSum)) cost.bytes += 2.0 * static_cast<double>(call.input(0).bytes());
    return cost;
  }
};

DERMATOME_REGISTER_OP(BatchNormRelu);
DERMATOME_REGISTER_OP(BatchNormReluGradient);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(batch_norm_relu)

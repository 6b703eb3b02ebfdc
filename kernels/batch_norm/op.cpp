// batch_norm, its two gradients and its scale and shift at inference, over the last axis.
#include "engine/graph/autograd.h"
#include "kernels/batch_norm/signature.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

using batch_norm::check_channels;
using batch_norm::mode_attribute;

// mode=train: batch statistics normalise and the running ones move (unbiased variance, as PyTorch). frozen and eval:
// the running statistics normalise and never move; gamma and beta still have gradients.
class BatchNorm final : public Op {
 public:
  BatchNorm()
      : Op({.name = "batch_norm",
            .summary = "normalises each channel; mode train uses and tracks batch statistics, frozen and eval do not",
            .inputs = {follows("x"),
                       {.name = "weight", .state = true},
                       {.name = "bias", .state = true},
                       {.name = "running_mean", .state = true},
                       {.name = "running_var", .state = true}},
            .outputs = {{.name = "y"},
                        {.name = "mean", .differentiable = false},
                        {.name = "inverse_deviation", .differentiable = false},
                        {.name = "new_running_mean", .differentiable = false},
                        {.name = "new_running_var", .differentiable = false}},
            .attributes = {real_attribute("eps", 1e-5, 0), real_attribute("momentum", 0.1, 0, 1), mode_attribute()}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    check_channels(call, 0, 1, 4);
    const TensorDesc& x = call.input(0);
    std::vector<TensorDesc> outputs{x};
    if (call.attributes.choice("mode") != "train") return outputs;
    DERMATOME_CHECK(x.shape.elements() > x.shape[-1], "batch statistics need more than one value a channel, x is {}",
                    to_string(x.shape));
    outputs.resize(5, call.input(1));
    return outputs;
  }

  std::vector<StateSpec> states(const Attributes& a, const TensorDesc& x) const override {
    const TensorDesc desc = batch_norm::channels_of(x);
    std::vector<StateSpec> states{
        {.suffix = "weight", .desc = desc, .initializer = {Initializer::Kind::constant, 1}, .input = 1},
        {.suffix = "bias", .desc = desc, .initializer = {Initializer::Kind::constant, 0}, .input = 2}};
    for (const auto& state : batch_norm::running_statistics(a, x, 3)) states.push_back(state);
    return states;
  }

  void specialise(Attributes& a, Phase phase) const override {
    a.set("mode", std::string(!phase.training ? "eval" : phase.live_statistics ? "train" : "frozen"));
  }

  std::vector<InPlace> in_place(const OpCall& call) const override {
    if (call.attributes.choice("mode") != "train") return {{.output = 0, .input = 0}};
    return {{.output = 3, .input = 3}, {.output = 4, .input = 4}};
  }

  void gradient(GradientContext& context) const override {
    Builder& b = context.builder();
    const auto& a = context.attributes();
    const bool train = a.choice("mode") == "train";
    const auto gradients =
        train ? b.call_all("batch_norm_gradient", {context.upstream(), context.input(0), context.input(1),
                                                   context.output(1), context.output(2)})
              : b.call_all("batch_norm_frozen_gradient",
                           {context.upstream(), context.input(0), context.input(1), context.input(3), context.input(4)},
                           {{"eps", a.real("eps")}});
    for (int i = 0; i < 3; ++i) {
      if (context.wants(i)) context.set(i, gradients[static_cast<std::size_t>(i)]);
    }
  }

  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    const bool train = call.attributes.choice("mode") == "train";
    cost.flops = (train ? 6.0 : 2.0) * static_cast<double>(outputs[0].shape.elements());
    if (train) cost.bytes += static_cast<double>(call.input(0).bytes());  // read for the sums, then to be normalised
    return cost;
  }
};

class BatchNormGradient final : public Op {
 public:
  BatchNormGradient()
      : Op({.name = "batch_norm_gradient",
            .summary = "gradients of batch_norm (mode train) by x, gamma and beta",
            .inputs = {follows("dy"), follows("x"), {"weight"}, {"mean"}, {"inverse_deviation"}},
            .outputs = {{"dx"}, {"dweight"}, {"dbias"}},
            .attributes = {}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    check_channels(call, 1, 2, 4);
    DERMATOME_CHECK(call.input(0) == call.input(1), "dy is {} but x is {}", to_string(call.input(0)),
                    to_string(call.input(1)));
    return {call.input(1), call.input(2), call.input(2)};
  }
  std::vector<InPlace> in_place(const OpCall&) const override { return {{.output = 0, .input = 0}}; }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = 8.0 * static_cast<double>(outputs[0].shape.elements());
    cost.bytes += 2.0 * static_cast<double>(call.input(0).bytes());  // dy and x are read for the sums and again for dx
    return cost;
  }
};

class BatchNormFrozenGradient final : public Op {
 public:
  BatchNormFrozenGradient()
      : Op({.name = "batch_norm_frozen_gradient",
            .summary = "gradients of batch_norm (mode frozen) by x, gamma and beta",
            .inputs = {follows("dy"), follows("x"), {"weight"}, {"running_mean"}, {"running_var"}},
            .outputs = {{"dx"}, {"dweight"}, {"dbias"}},
            .attributes = {real_attribute("eps", 1e-5, 0)}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    check_channels(call, 1, 2, 4);
    DERMATOME_CHECK(call.input(0) == call.input(1), "dy is {} but x is {}", to_string(call.input(0)),
                    to_string(call.input(1)));
    return {call.input(1), call.input(2), call.input(2)};
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = 5.0 * static_cast<double>(outputs[0].shape.elements());
    return cost;
  }
};

// What batch_norm does to each channel once its statistics are fixed, for convolutions that do it as they store.
class BatchNormAffine final : public Op {
 public:
  BatchNormAffine()
      : Op({.name = "batch_norm_affine",
            .summary = "batch norm with running statistics as a scale and a shift of each channel",
            .inputs = {{"weight"}, {"bias"}, {"running_mean"}, {"running_var"}},
            .outputs = {{"scale"}, {"shift"}},
            .attributes = {real_attribute("eps", 1e-5, 0)}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    for (int i = 0; i < 4; ++i) {
      DERMATOME_CHECK(call.shape(i).rank() == 1 && call.input(i) == call.input(0), "input {} is {} but the first is {}",
                      i, to_string(call.input(i)), to_string(call.input(0)));
    }
    return {call.input(0), call.input(0)};
  }
};

DERMATOME_REGISTER_OP(BatchNorm);
DERMATOME_REGISTER_OP(BatchNormAffine);
DERMATOME_REGISTER_OP(BatchNormGradient);
DERMATOME_REGISTER_OP(BatchNormFrozenGradient);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(batch_norm)

// restructured_decoder: what a U-Net's decoder says in five operations becomes decoder_step, before gradients are made,
// so that these are restructured too. The ReLU in front of a step joins the step's gradient.
#include "engine/compile/pass.h"

namespace dermatome {
namespace {

bool plain_transposed(const Attributes& a) {
  return a.integer("kernel") == a.integer("stride") && a.integer("pad") == 0 && a.boolean("bias") &&
         a.choice("output_type") == "same";
}

bool plain_skip(const Attributes& a) {
  return a.integer("kernel") == 1 && a.integer("stride") == 1 && a.integer("pad") == 0 && a.boolean("bias") &&
         a.choice("output_type") == "same";
}

// `normalised` and `joined`: whether the pattern has a batch_norm n and a skip convolution s beside the transposed t.
template <bool normalised, bool joined>
std::vector<Rewrite::Replacement> apply(Builder& builder, const Match& match) {
  const Node transposed = match.node(builder.graph(), "t");
  if (!plain_transposed(transposed.attributes)) return {};
  if (joined && (match.node(builder.graph(), "c").inputs.size() != 2 ||
                 !plain_skip(match.node(builder.graph(), "s").attributes))) {
    return {};
  }
  std::vector<Value> inputs{match.value("x"), match.value("weight"), match.value("bias")};
  for (const char* name : {"skip", "skip_weight", "skip_bias"}) inputs.push_back(match.value(name));
  Attributes attributes(op_named("decoder_step").signature().attributes);
  attributes.set("kernel", transposed.attributes.integer("kernel"));
  std::vector<Value> replaced{match.root};
  if (normalised) {
    const Node norm = match.node(builder.graph(), "n");
    replaced.insert(replaced.end(), norm.outputs.begin() + 1, norm.outputs.end());
    inputs.insert(inputs.end(), norm.inputs.begin() + 1, norm.inputs.end());
    attributes.set("eps", norm.attributes.real("eps"));
    attributes.set("momentum", norm.attributes.real("momentum"));
    attributes.set("mode", std::string(norm.attributes.choice("mode")));
  }
  return Rewrite::one_by_one(replaced, builder.call_all("decoder_step", inputs, attributes));
}

std::vector<Rewrite::Replacement> apply_mask(Builder& builder, const Match& match) {
  const Node step = match.node(builder.graph(), "g");
  const auto& a = step.attributes;
  const auto outputs = builder.call_all("decoder_step_gradient", step.inputs,
                                        {{"kernel", a.integer("kernel")},
                                         {"eps", a.real("eps")},
                                         {"mode", std::string(a.choice("mode"))},
                                         {"masked", true}});
  std::vector<Value> replaced = step.outputs;
  replaced[0] = match.root;
  return Rewrite::one_by_one(replaced, outputs);
}

Rewrite structural(int order, std::string pattern,
                   std::vector<Rewrite::Replacement> (*function)(Builder&, const Match&)) {
  return {.name = "restructured_decoder",
          .summary = "U-Net's decoder without normalised tensors and concatenations",
          .order = order,
          .pattern = std::move(pattern),
          .apply = function,
          .before_gradients = true,
          .needs_kernels = true};
}

const RewriteRegistrar joined_and_normalised(
    structural(1,
               "relu(c=concat(t=conv_transpose2d(n=batch_norm(x), weight, bias), s=conv2d(skip, skip_weight, "
               "skip_bias)))",
               apply<true, true>));
const RewriteRegistrar joined(
    structural(2, "relu(c=concat(t=conv_transpose2d(x, weight, bias), s=conv2d(skip, skip_weight, skip_bias)))",
               apply<false, true>));
const RewriteRegistrar normalised(structural(3, "t=conv_transpose2d(n=batch_norm(x), weight, bias)",
                                             apply<true, false>));
const RewriteRegistrar mask({.name = "decoder_step_mask",
                             .summary = "the gradient of the ReLU in front of a decoder step in the step's own pass",
                             .order = 4,
                             .pattern = "relu_gradient(g=decoder_step_gradient(dy, x), x)",
                             .apply = apply_mask});

}  // namespace
}  // namespace dermatome

// restructured_decoder: what a U-Net's decoder says in five operations becomes decoder_step, before gradients are made,
// so that these are restructured too. The ReLU in front of a step joins the step's gradient.
#include "engine/compile/pass.h"

namespace dermatome {
namespace {

const Node& node_of(Builder& builder, const Match& match, std::string_view label) {
  return builder.graph().nodes()[static_cast<std::size_t>(match.nodes.find(label)->second)];
}

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
  const Node transposed = node_of(builder, match, "t");
  if (!plain_transposed(transposed.attributes)) return {};
  if (joined &&
      (node_of(builder, match, "c").inputs.size() != 2 || !plain_skip(node_of(builder, match, "s").attributes))) {
    return {};
  }
  std::vector<Value> inputs{match.value("x"), match.value("weight"), match.value("bias")};
  for (const char* name : {"skip", "skip_weight", "skip_bias"}) inputs.push_back(match.value(name));
  Attributes attributes(op_named("decoder_step").signature().attributes);
  attributes.set("kernel", transposed.attributes.integer("kernel"));
  std::vector<Value> of_norm;
  if (normalised) {
    const Node norm = node_of(builder, match, "n");
    of_norm = norm.outputs;
    inputs.insert(inputs.end(), norm.inputs.begin() + 1, norm.inputs.end());
    attributes.set("eps", norm.attributes.real("eps"));
    attributes.set("momentum", norm.attributes.real("momentum"));
    attributes.set("mode", std::string(norm.attributes.choice("mode")));
  }
  const auto outputs = builder.call_all("decoder_step", inputs, attributes);
  std::vector<Rewrite::Replacement> replacements{{match.root, outputs[0]}};
  for (std::size_t i = 1; i < of_norm.size(); ++i) replacements.push_back({of_norm[i], outputs[i]});
  return replacements;
}

std::vector<Rewrite::Replacement> apply_mask(Builder& builder, const Match& match) {
  const Node step = node_of(builder, match, "g");
  const auto& a = step.attributes;
  const auto outputs = builder.call_all("decoder_step_gradient", step.inputs,
                                        {{"kernel", a.integer("kernel")},
                                         {"eps", a.real("eps")},
                                         {"mode", std::string(a.choice("mode"))},
                                         {"masked", true}});
  std::vector<Rewrite::Replacement> replacements{{match.root, outputs[0]}};
  for (std::size_t i = 1; i < outputs.size(); ++i) replacements.push_back({step.outputs[i], outputs[i]});
  return replacements;
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

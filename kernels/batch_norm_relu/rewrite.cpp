// fuse_batch_norm_relu: batch norm, what is added to it and ReLU become batch_norm_relu where the device has it, before
// gradients are made, so that ReLU's gradient joins batch norm's.
#include "engine/compile/pass.h"

namespace dermatome {
namespace {

std::vector<Rewrite::Replacement> apply(Builder& builder, const Match& match) {
  const Node norm = builder.graph().nodes()[static_cast<std::size_t>(match.nodes.find("n")->second)];
  std::vector<Value> inputs = norm.inputs;
  if (const Value residual = match.value("residual")) inputs.push_back(residual);
  const auto outputs = builder.call_all("batch_norm_relu", inputs, norm.attributes);
  std::vector<Rewrite::Replacement> replacements{{match.root, outputs[0]}};
  for (std::size_t i = 1; i < norm.outputs.size(); ++i) replacements.push_back({norm.outputs[i], outputs[i]});
  return replacements;
}

// Behind what convolutions take into their epilogues (1 to 5), in front of fuse_add_relu (10).
Rewrite rewrite(int order, std::string pattern) {
  return {.name = "fuse_batch_norm_relu",
          .summary = "batch norm, the addition of a residual and ReLU in one operation, training too",
          .order = order,
          .pattern = std::move(pattern),
          .apply = apply,
          .before_gradients = true,
          .needs_kernels = true};
}

const RewriteRegistrar joined(rewrite(6, "relu(add(n=batch_norm(), residual))"));
const RewriteRegistrar alone(rewrite(7, "relu(n=batch_norm())"));

}  // namespace
}  // namespace dermatome

// The passes that make conv2d_fused: batch norm with running statistics, ReLU and a residual block's addition move into
// the convolution in front of them. A pattern's inner nodes have no other reader, so where a gradient needs what lies
// in between, nothing matches; and batch statistics have to be known before anything can be normalised by them.
#include "engine/compile/pass.h"
#include "kernels/conv2d/geometry.h"

namespace dermatome {
namespace {

using Replacements = std::vector<Rewrite::Replacement>;

struct Relus {
  bool first, last;
};

// `convolution`: conv2d or conv2d_fused. Named after it, whatever the pattern ends in.
Replacements fuse(Builder& builder, const Match& match, const Node& convolution, std::vector<Value> inputs,
                  Relus relus) {
  const Attributes& a = convolution.attributes;
  builder.set_scope_of(convolution);
  return {{match.root, builder.call("conv2d_fused", std::move(inputs),
                                    {{"channels", a.integer("channels")},
                                     {"kernel", a.integer("kernel")},
                                     {"stride", a.integer("stride")},
                                     {"pad", a.integer("pad")},
                                     {"relu_first", relus.first},
                                     {"relu", relus.last}})}};
}

// One that is asked to write another type than it reads stays as it is.
bool can_fuse(const Builder& builder, const Node& convolution) {
  return builder.desc(convolution.outputs[0]).type == builder.desc(convolution.inputs[0]).type;
}

Replacements fuse_batch_norm(Builder& builder, const Match& match, Relus relus, Value residual = {}) {
  const Node norm = match.node(builder.graph(), "norm");
  const Node convolution = match.node(builder.graph(), "convolution");
  if (norm.attributes.choice("mode") == "train" || !can_fuse(builder, convolution)) return {};
  builder.set_scope_of(norm);
  const auto affine = builder.call_all(
      "batch_norm_affine", {match.value("gamma"), match.value("beta"), match.value("mean"), match.value("variance")},
      {{"eps", norm.attributes.real("eps")}});
  return fuse(builder, match, convolution,
              {match.value("x"), match.value("weight"), match.value("bias"), affine[0], affine[1], residual}, relus);
}

Replacements fuse_relu_batch_norm(Builder& builder, const Match& match) {
  return fuse_batch_norm(builder, match, {.first = true, .last = false});
}
Replacements fuse_batch_norm_alone(Builder& builder, const Match& match) {
  return fuse_batch_norm(builder, match, {.first = false, .last = false});
}

// Where a network learns, batch norm and ReLU are one before gradients are made. What no gradient asked for is this.
Replacements fuse_batch_norm_relu(Builder& builder, const Match& match) {
  constexpr std::size_t kResidualOfNorm = 5;
  const auto& inputs = match.node(builder.graph(), "norm").inputs;
  const Value residual = inputs.size() > kResidualOfNorm ? inputs[kResidualOfNorm] : Value{};
  return fuse_batch_norm(builder, match, {.first = false, .last = true}, residual);
}

Replacements fuse_residual(Builder& builder, const Match& match) {
  const Node convolution = match.node(builder.graph(), "convolution");
  const Attributes& a = convolution.attributes;
  if (a.boolean("relu") || convolution.inputs[conv2d::kResidual]) return {};
  std::vector<Value> inputs = convolution.inputs;
  inputs[conv2d::kResidual] = match.value("residual");
  return fuse(builder, match, convolution, std::move(inputs), {.first = a.boolean("relu_first"), .last = true});
}

Replacements fuse_relu(Builder& builder, const Match& match) {
  const Node convolution = match.node(builder.graph(), "convolution");
  return fuse(builder, match, convolution, convolution.inputs,
              {.first = convolution.attributes.boolean("relu_first"), .last = true});
}

Replacements fuse_relu_alone(Builder& builder, const Match& match) {
  const Node convolution = match.node(builder.graph(), "convolution");
  if (!can_fuse(builder, convolution)) return {};
  return fuse(builder, match, convolution, convolution.inputs, {.first = false, .last = true});
}

// In front of fuse_add_relu (10), which takes what these leave.
const RewriteRegistrar relu_batch_norm(
    {.name = "fuse_conv_relu_batch_norm",
     .summary = "ReLU, then batch norm with running statistics, as the convolution stores",
     .order = 1,
     .pattern = "norm=batch_norm(relu(convolution=conv2d(x, weight, bias)), gamma, beta, mean, variance)",
     .apply = fuse_relu_batch_norm,
     .needs_kernels = true});
const RewriteRegistrar batch_norm(
    {.name = "fuse_conv_batch_norm",
     .summary = "batch norm with running statistics as the convolution stores",
     .order = 2,
     .pattern = "norm=batch_norm(convolution=conv2d(x, weight, bias), gamma, beta, mean, variance)",
     .apply = fuse_batch_norm_alone,
     .needs_kernels = true});
const RewriteRegistrar residual({.name = "fuse_conv_add_relu",
                                 .summary = "the addition of a residual block and its ReLU as the convolution stores",
                                 .order = 3,
                                 .pattern = "relu(add(convolution=conv2d_fused(), residual))",
                                 .apply = fuse_residual,
                                 .needs_kernels = true});
const RewriteRegistrar batch_norm_relu({.name = "fuse_conv_batch_norm_relu",
                                        .summary = "ReLU behind a batch norm that the convolution applies",
                                        .order = 4,
                                        .pattern = "relu(convolution=conv2d_fused())",
                                        .apply = fuse_relu,
                                        .needs_kernels = true});
const RewriteRegistrar batch_norm_relu_in_one(
    {.name = "fuse_conv_batch_norm_relu",
     .summary = "ReLU behind a batch norm that the convolution applies",
     .order = 4,
     .pattern = "norm=batch_norm_relu(convolution=conv2d(x, weight, bias), gamma, beta, mean, variance)",
     .apply = fuse_batch_norm_relu,
     .needs_kernels = true});
const RewriteRegistrar relu_alone({.name = "fuse_conv_relu",
                                   .summary = "ReLU as the convolution stores, training too",
                                   .order = 5,
                                   .pattern = "relu(convolution=conv2d(x, weight, bias))",
                                   .apply = fuse_relu_alone,
                                   .needs_kernels = true});

}  // namespace
}  // namespace dermatome

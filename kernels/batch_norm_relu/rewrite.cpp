// fuse_batch_norm_relu: batch norm, what is added to it and ReLU become batch_norm_relu where the device has it, before
// gradients are made, so that ReLU's gradient joins batch norm's. batch_norm_sums and batch_norm_gradient_sums:
// convolutions take the sums that it and its gradient need.
#include "engine/compile/pass.h"
#include "kernels/batch_norm_relu/math.h"

namespace dermatome {
namespace {

std::vector<Rewrite::Replacement> apply(Builder& builder, const Match& match) {
  const Node norm = match.node(builder.graph(), "n");
  std::vector<Value> inputs = norm.inputs;
  if (const Value residual = match.value("residual")) inputs.push_back(residual);
  std::vector<Value> replaced = norm.outputs;
  replaced[0] = match.root;
  return Rewrite::one_by_one(replaced, builder.call_all("batch_norm_relu", inputs, norm.attributes));
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

// The convolution in front takes the sums as it stores, for batch norm not to read them. In bf16 only: a sum of squares
// loses digits that f32 has.
std::vector<Rewrite::Replacement> apply_sums(Builder& builder, const Match& match) {
  const Node norm = match.node(builder.graph(), "n");
  const Value x = match.value("x");
  const int producer = builder.graph().info(x).producer;
  if (norm.attributes.choice("mode") != "train" || producer < 0) return {};
  if (norm.inputs.size() > batch_norm_relu::kSum && norm.inputs[batch_norm_relu::kSum]) return {};
  const Node convolution = builder.graph().nodes()[static_cast<std::size_t>(producer)];
  if (convolution.op->name() != "conv2d" || convolution.attributes.choice("output_type") != "same") return {};
  std::vector<Value> inputs = norm.inputs;
  inputs.resize(batch_norm_relu::kSumOfSquares + 1);
  builder.set_scope_of(convolution);
  const auto& a = convolution.attributes;
  const auto summed = builder.call_all("conv2d_sums", convolution.inputs,
                                       {{"channels", a.integer("channels")},
                                        {"kernel", a.integer("kernel")},
                                        {"stride", a.integer("stride")},
                                        {"pad", a.integer("pad")}});
  inputs[0] = summed[0];
  inputs[batch_norm_relu::kSum] = summed[1];
  inputs[batch_norm_relu::kSumOfSquares] = summed[2];
  builder.set_scope_of(norm);
  auto replacements = Rewrite::one_by_one(norm.outputs, builder.call_all("batch_norm_relu", inputs, norm.attributes));
  replacements.push_back({x, inputs[0]});
  return replacements;
}

// Behind a block that ends in an addition, what its output's gradient is added up from comes out of a data gradient:
// that one adds the rest, cuts off where ReLU did, and takes the sums of batch norm's gradient as it stores.
std::vector<Rewrite::Replacement> apply_gradient_sums(Builder& builder, const Match& match) {
  const Node norm = match.node(builder.graph(), "n");
  const Node convolution = match.node(builder.graph(), "d");
  if (norm.inputs.size() <= batch_norm_relu::kOutput || !norm.inputs[batch_norm_relu::kOutput]) return {};
  const Value x = norm.inputs[1];
  builder.set_scope_of(convolution);
  const auto summed = builder.call_all(
      "conv2d_data_gradient_sums",
      {convolution.inputs[0], convolution.inputs[1], norm.inputs[batch_norm_relu::kOutput], x, match.value("other")},
      convolution.attributes);
  std::vector<Value> inputs(norm.inputs.begin(), norm.inputs.begin() + batch_norm_relu::kOutput);
  inputs.resize(batch_norm_relu::kSumOfProducts + 1);
  inputs[0] = summed[0];
  inputs[batch_norm_relu::kGradientSum] = summed[1];
  inputs[batch_norm_relu::kSumOfProducts] = summed[2];
  builder.set_scope_of(norm);
  auto replacements =
      Rewrite::one_by_one(norm.outputs, builder.call_all("batch_norm_relu_gradient", inputs, norm.attributes));
  replacements.push_back({norm.outputs[3], summed[0]});
  return replacements;
}

const RewriteRegistrar gradient_sums(
    {.name = "batch_norm_gradient_sums",
     .summary = "sums for batch norm's gradient as a data gradient is stored (bf16 on GPUs)",
     .order = 9,
     .pattern = "n=batch_norm_relu_gradient(add(d=conv2d_data_gradient(), other))",
     .apply = apply_gradient_sums,
     .needs_kernels = true,
     .activations = DType::bf16});

const RewriteRegistrar sums({.name = "batch_norm_sums",
                             .summary = "sums for batch norm as the convolution in front stores (bf16 on GPUs)",
                             .order = 8,
                             .pattern = "n=batch_norm_relu(x)",
                             .apply = apply_sums,
                             .needs_kernels = true,
                             .activations = DType::bf16});

}  // namespace
}  // namespace dermatome

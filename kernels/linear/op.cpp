// linear and its two gradient ops.
#include <cmath>

#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

void check_matrix(const TensorDesc& desc, std::string_view name) {
  DERMATOME_CHECK(desc.shape.rank() == 2 && is_floating(desc.type),
                  "{} must be a matrix of a floating-point type, it is {}", name, to_string(desc));
}

// A multiply-add for every pair of a sample's features and a weight.
double matrix_product_flops(std::int64_t samples, const Shape& weight) {
  return 2.0 * static_cast<double>(samples * weight.elements());
}

class Linear final : public Op {
 public:
  Linear()
      : Op({.name = "linear",
            .summary = "fully connected layer, x weight^T + bias: [N, in] to [N, features]",
            .inputs = {{"x"}, {.name = "weight", .state = true}, {.name = "bias", .optional = true, .state = true}},
            .outputs = {{"y"}},
            .attributes = {required_integer("features", 1), boolean_attribute("bias", true)}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& x = call.input(0);
    check_matrix(x, "x");
    const std::int64_t features = call.attributes.integer("features");
    const TensorDesc weight{x.type, {features, x.shape[1]}};
    DERMATOME_CHECK(call.input(1) == weight, "weight must be {} for x {}, it is {}", to_string(weight), to_string(x),
                    to_string(call.input(1)));
    DERMATOME_CHECK(call.has_input(2) == call.attributes.boolean("bias"), "bias={} but a bias is {}given",
                    call.attributes.boolean("bias"), call.has_input(2) ? "" : "not ");
    if (call.has_input(2)) {
      const TensorDesc bias{x.type, {features}};
      DERMATOME_CHECK(call.input(2) == bias, "bias must be {}, it is {}", to_string(bias), to_string(call.input(2)));
    }
    return {{x.type, {x.shape[0], features}}};
  }

  void gradient(GradientContext& context) const override {
    Builder& builder = context.builder();
    if (context.wants(0)) {
      context.set(0, builder.call("linear_data_gradient", {context.upstream(), context.input(1)}));
    }
    if (!context.wants(1) && !context.wants(2)) return;
    const auto gradients = builder.call_all("linear_weight_gradient", {context.input(0), context.upstream()});
    context.set(1, gradients[0]);
    if (context.has_input(2)) context.set(2, gradients[1]);
  }

  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = matrix_product_flops(call.shape(0)[0], call.shape(1));
    return cost;
  }

  // Uniform within 1 / sqrt(in), as PyTorch's nn.Linear starts.
  std::vector<StateSpec> states(const Attributes& attributes, const TensorDesc& x) const override {
    check_matrix(x, "x");
    const std::int64_t features = attributes.integer("features");
    const double bound = 1.0 / std::sqrt(static_cast<double>(x.shape[1]));
    const Initializer uniform{Initializer::Kind::uniform, bound};
    const DType type = x.type == DType::f64 ? DType::f64 : DType::f32;
    std::vector<StateSpec> states{
        {.suffix = "weight", .desc = {type, {features, x.shape[1]}}, .initializer = uniform, .input = 1}};
    if (attributes.boolean("bias")) {
      states.push_back({.suffix = "bias", .desc = {type, {features}}, .initializer = uniform, .input = 2});
    }
    return states;
  }
};

class LinearDataGradient final : public Op {
 public:
  LinearDataGradient()
      : Op({.name = "linear_data_gradient",
            .summary = "dy weight: [N, features] to [N, in]",
            .inputs = {{"dy"}, {"weight"}},
            .outputs = {{"dx"}},
            .attributes = {}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& dy = call.input(0);
    const TensorDesc& weight = call.input(1);
    check_matrix(dy, "dy");
    check_matrix(weight, "weight");
    DERMATOME_CHECK(dy.type == weight.type && dy.shape[1] == weight.shape[0], "dy {} and weight {} do not fit together",
                    to_string(dy), to_string(weight));
    return {{dy.type, {dy.shape[0], weight.shape[1]}}};
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = matrix_product_flops(call.shape(0)[0], call.shape(1));
    return cost;
  }
};

class LinearWeightGradient final : public Op {
 public:
  LinearWeightGradient()
      : Op({.name = "linear_weight_gradient",
            .summary = "dy^T x and the sum of dy over the samples",
            .inputs = {{"x"}, {"dy"}},
            .outputs = {{"dweight"}, {"dbias"}},
            .attributes = {}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& x = call.input(0);
    const TensorDesc& dy = call.input(1);
    check_matrix(x, "x");
    check_matrix(dy, "dy");
    DERMATOME_CHECK(x.type == dy.type && x.shape[0] == dy.shape[0], "x {} and dy {} do not fit together", to_string(x),
                    to_string(dy));
    return {{x.type, {dy.shape[1], x.shape[1]}}, {x.type, {dy.shape[1]}}};
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    cost.flops = matrix_product_flops(call.shape(0)[0], outputs[0].shape);
    return cost;
  }
};

DERMATOME_REGISTER_OP(Linear);
DERMATOME_REGISTER_OP(LinearDataGradient);
DERMATOME_REGISTER_OP(LinearWeightGradient);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(linear)

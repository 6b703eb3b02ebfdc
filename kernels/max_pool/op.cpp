// max_pool and max_pool_gradient.
#include "engine/graph/autograd.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

std::int64_t windows_along(std::int64_t extent, const Attributes& a) {
  return (extent + 2 * a.integer("pad") - a.integer("kernel")) / a.integer("stride") + 1;
}

AttributeSpec kernel_attribute() {
  AttributeSpec kernel = required_integer("kernel", 1);
  kernel.maximum = 15;  // the position in the window must fit into 8 bits
  return kernel;
}

class MaxPool final : public Op {
 public:
  MaxPool()
      : Op({.name = "max_pool",
            .summary = "largest value of each kernel x kernel window; padding never wins",
            .inputs = {follows("x")},
            .outputs = {{"y"}, {.name = "index", .differentiable = false}},
            .attributes = {kernel_attribute(), required_integer("stride", 1), integer_attribute("pad", 0, 0)}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& x = call.input(0);
    const Attributes& a = call.attributes;
    const std::int64_t kernel = a.integer("kernel");
    const std::int64_t pad = a.integer("pad");
    DERMATOME_CHECK(x.shape.rank() == 4 && is_floating(x.type),
                    "x must be [N, H, W, C] of a floating-point type, it is {}", to_string(x));
    DERMATOME_CHECK(2 * pad <= kernel, "pad={} is more than half of kernel={}", pad, kernel);
    DERMATOME_CHECK(x.shape[1] + 2 * pad >= kernel && x.shape[2] + 2 * pad >= kernel,
                    "a window of kernel={} does not fit into {} with pad={}", kernel, to_string(x), pad);
    const Shape shape{x.shape[0], windows_along(x.shape[1], a), windows_along(x.shape[2], a), x.shape[3]};
    return {{x.type, shape}, {DType::u8, shape}};
  }
  void gradient(GradientContext& context) const override {
    const Attributes& a = context.attributes();
    const Shape shape = context.desc(context.input(0)).shape;
    context.set(0, context.builder().call("max_pool_gradient", {context.upstream(), context.output(1)},
                                          {{"kernel", a.integer("kernel")},
                                           {"stride", a.integer("stride")},
                                           {"pad", a.integer("pad")},
                                           {"height", shape[1]},
                                           {"width", shape[2]}}));
  }
  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    const std::int64_t kernel = call.attributes.integer("kernel");
    cost.flops = static_cast<double>(outputs[0].shape.elements() * kernel * kernel);
    return cost;
  }
};

class MaxPoolGradient final : public Op {
 public:
  MaxPoolGradient()
      : Op({.name = "max_pool_gradient",
            .summary = "sum, for each input of max_pool, of dy over the windows that took it",
            .inputs = {follows("dy"), {"index"}},
            .outputs = {{"dx"}},
            .attributes = {kernel_attribute(), required_integer("stride", 1), integer_attribute("pad", 0, 0),
                           required_integer("height", 1), required_integer("width", 1)}}) {}
  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const TensorDesc& dy = call.input(0);
    const Attributes& a = call.attributes;
    DERMATOME_CHECK(dy.shape.rank() == 4 && is_floating(dy.type),
                    "dy must be [N, H, W, C] of a floating-point type, it is {}", to_string(dy));
    DERMATOME_CHECK(call.input(1) == (TensorDesc{DType::u8, dy.shape}), "dy is {} but index is {}", to_string(dy),
                    to_string(call.input(1)));
    const std::int64_t height = a.integer("height");
    const std::int64_t width = a.integer("width");
    DERMATOME_CHECK(dy.shape[1] == windows_along(height, a) && dy.shape[2] == windows_along(width, a),
                    "dy is {} but {} x {} pixels have {} x {} windows", to_string(dy), height, width,
                    windows_along(height, a), windows_along(width, a));
    return {{dy.type, {dy.shape[0], height, width, dy.shape[3]}}};
  }
};

DERMATOME_REGISTER_OP(MaxPool);
DERMATOME_REGISTER_OP(MaxPoolGradient);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(max_pool)

// adam: one update of all parameters in one call.
#include "engine/graph/op.h"
#include "kernels/adam/math.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

// Inputs: step [groups] (counting from 1: groups may have begun to learn at different times), beta1 [1], rates
// [groups], groups i32 [parameters], gradient_scale [1] (optional: what gradients are multiplied by), then weight,
// first moment, second moment and gradient of each parameter. Outputs: weight and both moments of each. Rates, steps
// and beta1 are tensors, so that a captured program follows any schedule.
class Adam final : public Op {
 public:
  Adam()
      : Op({.name = "adam",
            .summary = "Adam with bias correction and coupled L2, all parameters at once, one rate a parameter group",
            .inputs = {{.name = "step"},
                       {.name = "beta1"},
                       {.name = "rates"},
                       {.name = "groups"},
                       {.name = "gradient_scale", .optional = true},
                       {.name = "tensors", .variadic = true}},
            .outputs = {{.name = "tensors", .differentiable = false}},
            .attributes = {real_attribute("beta2", 0.999, 0, 1), real_attribute("eps", 1e-8, 0),
                           real_attribute("weight_decay", 0, 0)}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const int tensors = call.input_count() - adam::kFirstParameter;
    DERMATOME_CHECK(tensors >= 0 && tensors % adam::kInputsEach == 0, "takes four tensors a parameter, not {} in all",
                    tensors);
    const int parameters = tensors / adam::kInputsEach;
    DERMATOME_CHECK(call.shape(adam::kBeta1).elements() == 1, "beta1 is a single number");
    DERMATOME_CHECK(!call.has_input(adam::kGradientScale) || call.shape(adam::kGradientScale).elements() == 1,
                    "gradient_scale is a single number");
    DERMATOME_CHECK(call.input(adam::kStep) == call.input(adam::kRates), "step is {} but rates {}",
                    to_string(call.input(adam::kStep)), to_string(call.input(adam::kRates)));
    DERMATOME_CHECK(call.input(adam::kGroups) == (TensorDesc{DType::i32, {parameters}}),
                    "groups is {} for {} parameters", to_string(call.input(adam::kGroups)), parameters);
    std::vector<TensorDesc> outputs;
    for (int p = 0; p < parameters; ++p) {
      const int first = adam::kFirstParameter + p * adam::kInputsEach;
      for (int k = 1; k < adam::kInputsEach; ++k) {
        DERMATOME_CHECK(call.input(first + k) == call.input(first), "parameter {} is {} but one of its tensors {}", p,
                        to_string(call.input(first)), to_string(call.input(first + k)));
      }
      outputs.insert(outputs.end(), 3, call.input(first));
    }
    return outputs;
  }

  std::vector<InPlace> in_place(const OpCall& call) const override {
    std::vector<InPlace> pairs;
    for (int p = 0; p * adam::kInputsEach + adam::kFirstParameter < call.input_count(); ++p) {
      for (int k = 0; k < adam::kOutputsEach; ++k) {
        pairs.push_back(
            {.output = p * adam::kOutputsEach + k, .input = adam::kFirstParameter + p * adam::kInputsEach + k});
      }
    }
    return pairs;
  }

  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    for (std::size_t i = 0; i < outputs.size(); i += 3)
      cost.flops += 14.0 * static_cast<double>(outputs[i].shape.elements());
    return cost;
  }
};

DERMATOME_REGISTER_OP(Adam);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(adam)

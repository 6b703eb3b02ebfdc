// moving_average: exponential moving averages of many tensors in one call.
#include "engine/graph/op.h"
#include "kernels/launch/register.h"
#include "kernels/moving_average/math.h"

namespace dermatome {
namespace {

// Inputs: decay [1], then average and value of each. Outputs: the averages. The decay is a tensor, so that a captured
// program can follow one that rises.
class MovingAverage final : public Op {
 public:
  MovingAverage()
      : Op({.name = "moving_average",
            .summary = "average + (1 - decay) * (value - average) of each pair of tensors",
            .inputs = {{.name = "decay"}, {.name = "tensors", .variadic = true}},
            .outputs = {{.name = "averages", .differentiable = false}},
            .attributes = {}}) {}

  std::vector<TensorDesc> infer(const OpCall& call) const override {
    const int tensors = call.input_count() - moving_average::kFirstTensor;
    DERMATOME_CHECK(tensors >= 0 && tensors % moving_average::kInputsEach == 0,
                    "takes an average and a value each, not {} tensors in all", tensors);
    DERMATOME_CHECK(call.shape(moving_average::kDecay).elements() == 1, "decay is a single number");
    std::vector<TensorDesc> outputs;
    for (int i = moving_average::kFirstTensor; i < call.input_count(); i += moving_average::kInputsEach) {
      DERMATOME_CHECK(call.input(i) == call.input(i + 1), "an average is {} but its value {}", to_string(call.input(i)),
                      to_string(call.input(i + 1)));
      outputs.push_back(call.input(i));
    }
    return outputs;
  }

  std::vector<InPlace> in_place(const OpCall& call) const override {
    std::vector<InPlace> pairs;
    for (int i = moving_average::kFirstTensor; i < call.input_count(); i += moving_average::kInputsEach)
      pairs.push_back({.output = static_cast<int>(pairs.size()), .input = i});
    return pairs;
  }

  Cost cost(const OpCall& call, const std::vector<TensorDesc>& outputs) const override {
    Cost cost = Op::cost(call, outputs);
    for (const auto& output : outputs) cost.flops += 3.0 * static_cast<double>(output.shape.elements());
    return cost;
  }
};

DERMATOME_REGISTER_OP(MovingAverage);

}  // namespace
}  // namespace dermatome

DERMATOME_REGISTER_CPU_TABLE(moving_average)

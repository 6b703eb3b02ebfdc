// fuse_add_relu inside whole programs: how often it applies, and that results and gradients keep their bits. Without
// fuse_batch_norm_relu, which would take the batch norm in front, too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/compile/pass.h"
#include "engine/compile/program.h"
#include "engine/core/philox.h"
#include "engine/graph/autograd.h"
#include "engine/graph/model.h"

namespace dermatome {
namespace {

// Two residual blocks; a third sum has another reader and stays.
constexpr std::string_view kText = R"(model m(image: 3 channels) {
  stem   = conv2d(image, 16, kernel=3, pad=1)
  conv1  = conv2d(stem, 16, kernel=3, pad=1, bias=false)
  bn1    = batch_norm(conv1)
  first  = relu(bn1 + stem)
  conv2  = conv2d(first, 16, kernel=1, bias=false)
  bn2    = batch_norm(conv2)
  second = relu(first + bn2)
  third  = second + stem
  head   = conv2d(relu(third) + third, 1, kernel=1)
  return head
})";

constexpr const char* kPass = "fuse_add_relu";

struct Outcome {
  std::map<std::string, int> applied;
  std::vector<float> values;  // of the result and of the gradients of all weights
};

Outcome outcome_of(CompileOptions options) {
  disable_pass(options, "fuse_batch_norm_relu");
  const TensorDesc image{DType::f32, {2, 9, 11, 3}};
  Graph graph;
  Builder builder(graph);
  const Model model = Model::parse(kText, "m.graph");
  const Value result = model.append(builder, graph.add_input("image", image), training_phase);
  graph.mark_output("result", result);
  const Value target = graph.add_input("target", graph.desc(result));
  const Value divisor = graph.add_input("divisor", {DType::f32, {1}});
  const Value loss = builder.call("bce_with_logits", {result, target, divisor});
  std::vector<Value> weights;
  std::vector<std::string> outputs{"result"};
  for (const auto& state : graph.states()) {
    if (!state.name.ends_with(".weight")) continue;
    weights.push_back(graph.state(state.name));
    outputs.push_back(state.name);
  }
  const auto gradients = differentiate(graph, loss, weights);
  for (std::size_t i = 0; i < gradients.size(); ++i) graph.mark_output(outputs[i + 1], gradients[i]);
  StateStore store;
  store.create(graph.states(), 3);
  Program program(graph, {DeviceKind::cpu, 0}, store, options);
  Philox random(11, 1);
  for (float& value : program.input("image").as<float>()) value = random.uniform(-2, 2);
  for (float& value : program.input("target").as<float>()) value = random.uniform(0, 1);
  program.input("divisor").as<float>()[0] = 2 * 9 * 11;
  program.run();
  Outcome outcome{.applied = program.applied_passes(), .values = {}};
  for (const auto& name : outputs) {
    const auto values = program.output(name).as<float>();
    outcome.values.insert(outcome.values.end(), values.begin(), values.end());
  }
  return outcome;
}

TEST(AddRelu, TakesEverySumThatNobodyElseReadsAndKeepsTheBits) {
  CompileOptions separate;
  disable_pass(separate, kPass);
  const Outcome with = outcome_of({});
  const Outcome without = outcome_of(separate);
  EXPECT_EQ(with.applied.at(kPass), 2);
  EXPECT_FALSE(without.applied.contains(kPass));
  EXPECT_EQ(with.values, without.values);
}

TEST(AddRelu, AppliesInBf16Too) {
  CompileOptions options{.activations = DType::bf16};
  const Outcome with = outcome_of(options);
  disable_pass(options, kPass);
  const Outcome without = outcome_of(options);
  EXPECT_EQ(with.applied.at(kPass), 2);
  ASSERT_EQ(with.values.size(), without.values.size());
  float largest = 0;
  for (const float value : without.values) largest = std::max(largest, std::abs(value));
  for (std::size_t i = 0; i < with.values.size(); ++i) {
    ASSERT_NEAR(with.values[i], without.values[i], 0.1f * largest) << i;  // the sum is no longer rounded between
  }
}

}  // namespace
}  // namespace dermatome

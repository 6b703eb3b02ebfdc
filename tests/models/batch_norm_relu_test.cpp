// fuse_batch_norm_relu in training on the CPU: what it takes, and that results and gradients stay what they are.
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

constexpr Device kHost{DeviceKind::cpu, 0};
constexpr const char* kPass = "fuse_batch_norm_relu";

// One alone, two behind sums, one whose sum somebody else reads, too; channels in whole registers and not.
constexpr std::string_view kText = R"(model m(image: 3 channels) {
  conv0  = conv2d(image, 16, kernel=3, pad=1, bias=false)
  bn0    = batch_norm(conv0)
  stem   = relu(bn0)
  conv1  = conv2d(stem, 16, kernel=3, pad=1, bias=false)
  bn1    = batch_norm(conv1)
  first  = relu(bn1 + stem)
  conv2  = conv2d(first, 16, kernel=1, bias=false)
  bn2    = batch_norm(conv2)
  second = relu(first + bn2)
  conv3  = conv2d(second, 7, kernel=1, bias=false)
  bn3    = batch_norm(conv3)
  narrow = relu(bn3)
  conv4  = conv2d(narrow, 7, kernel=1, bias=false)
  bn4    = batch_norm(conv4)
  sum    = bn4 + narrow
  head   = conv2d(relu(sum) + sum, 1, kernel=1)
  return head
})";

struct Outcome {
  int forward = 0, backward = 0, relu_gradients = 0;  // nodes
  std::vector<float> values;                          // the result, and the gradients of all weights
};

Outcome outcome_of(const CompileOptions& options, bool live_statistics = true) {
  const TensorDesc image{DType::f32, {2, 9, 11, 3}};
  Graph graph;
  Builder builder(graph);
  const Model model = Model::parse(kText, "m.graph");
  const Value result = model.append(builder, graph.add_input("image", image), [=](const std::string&) {
    return Phase{.training = true, .live_statistics = live_statistics};
  });
  graph.mark_output("result", result);
  const Value target = graph.add_input("target", graph.desc(result));
  const Value divisor = graph.add_input("divisor", {DType::f32, {1}});
  const Value loss = builder.call("bce_with_logits", {result, target, divisor});
  graph.mark_output("loss", loss);
  run_passes_before_gradients(graph, options, kHost);
  std::vector<Value> weights;
  std::vector<std::string> outputs{"result"};
  for (const auto& state : graph.states()) {
    if (!state.name.ends_with(".weight") && !state.name.ends_with(".bias")) continue;
    weights.push_back(graph.state(state.name));
    outputs.push_back(state.name);
  }
  const auto gradients = differentiate(graph, loss, weights);
  for (std::size_t i = 0; i < gradients.size(); ++i) graph.mark_output(outputs[i + 1], gradients[i]);
  StateStore store;
  store.create(graph.states(), 3);
  Program program(graph, kHost, store, options);
  Outcome outcome;
  for (const Node& node : program.graph().nodes()) {
    outcome.forward += node.op->name() == "batch_norm_relu";
    outcome.backward += node.op->name() == "batch_norm_relu_gradient";
    outcome.relu_gradients += node.op->name() == "relu_gradient";
  }
  Philox random(11, 1);
  for (float& value : program.input("image").as<float>()) value = random.uniform(-2, 2);
  for (float& value : program.input("target").as<float>()) value = random.uniform(0, 1);
  program.input("divisor").as<float>()[0] = 2 * 9 * 11;
  program.run();
  for (const auto& name : outputs) {
    const auto values = program.output(name).as<float>();
    outcome.values.insert(outcome.values.end(), values.begin(), values.end());
  }
  return outcome;
}

void expect_near(const Outcome& outcome, const Outcome& other, float tolerance) {
  ASSERT_EQ(outcome.values.size(), other.values.size());
  float largest = 0;
  for (const float value : other.values) largest = std::max(largest, std::abs(value));
  for (std::size_t i = 0; i < outcome.values.size(); ++i) {
    ASSERT_NEAR(outcome.values[i], other.values[i], tolerance * largest) << i;
  }
}

CompileOptions without(CompileOptions options) {
  disable_pass(options, kPass);
  return options;
}

TEST(BatchNormRelu, IsOneOperationInTrainingWithTheSameGradients) {
  const Outcome fused = outcome_of({});
  const Outcome separate = outcome_of(without({}));
  EXPECT_EQ(fused.forward, 4);
  EXPECT_EQ(fused.backward, 4);
  EXPECT_EQ(fused.relu_gradients, 1) << "of the sum that the head reads, too";
  EXPECT_EQ(separate.forward + separate.backward, 0);
  EXPECT_EQ(separate.relu_gradients, 5);
  expect_near(fused, separate, 1e-6f);
}

TEST(BatchNormRelu, TakesFixedStatisticsToo) {
  const Outcome fused = outcome_of({}, false);
  EXPECT_EQ(fused.backward, 4);
  expect_near(fused, outcome_of(without({}), false), 1e-5f);
}

TEST(BatchNormRelu, IsNearInBf16) {
  const CompileOptions bf16{.activations = DType::bf16};
  const Outcome fused = outcome_of(bf16);
  EXPECT_EQ(fused.backward, 4);
  expect_near(fused, outcome_of(without(bf16)), 0.1f);  // fewer roundings between
}

}  // namespace
}  // namespace dermatome

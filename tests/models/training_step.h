// A small network in training on the CPU, run once: what tests of passes compare with and without theirs.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/compile/pass.h"
#include "engine/compile/program.h"
#include "engine/core/philox.h"
#include "engine/graph/autograd.h"
#include "engine/graph/model.h"

namespace dermatome::testing {

struct TrainingStep {
  std::map<std::string, int> applied;  // passes, how often
  std::map<std::string, int> nodes;    // of each operation
  std::vector<float> values;           // the result's, and the gradients' of all weights

  int count(const std::string& op) const { return nodes.contains(op) ? nodes.at(op) : 0; }
};

// The model reads images of 2 x 9 x 11 x 3.
inline TrainingStep run_training_step(std::string_view text, const CompileOptions& options,
                                      const Model::PhaseOf& phase) {
  constexpr Device kHost{DeviceKind::cpu, 0};
  Graph graph;
  Builder builder(graph);
  const Model model = Model::parse(text, "m.graph");
  const Value result = model.append(builder, graph.add_input("image", {DType::f32, {2, 9, 11, 3}}), phase);
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
  TrainingStep step{.applied = program.applied_passes(), .nodes = {}, .values = {}};
  for (const Node& node : program.graph().nodes()) ++step.nodes[std::string(node.op->name())];
  Philox random(11, 1);
  for (float& value : program.input("image").as<float>()) value = random.uniform(-2, 2);
  for (float& value : program.input("target").as<float>()) value = random.uniform(0, 1);
  program.input("divisor").as<float>()[0] = 2 * 9 * 11;
  program.run();
  for (const auto& name : outputs) {
    const auto values = program.output(name).as<float>();
    step.values.insert(step.values.end(), values.begin(), values.end());
  }
  return step;
}

inline CompileOptions without_pass(CompileOptions options, const std::string& pass) {
  disable_pass(options, pass);
  return options;
}

// The difference is at most `tolerance` of the other's largest value.
inline void expect_near(const TrainingStep& step, const TrainingStep& other, float tolerance) {
  ASSERT_EQ(step.values.size(), other.values.size());
  float largest = 0;
  for (const float value : other.values) largest = std::max(largest, std::abs(value));
  for (std::size_t i = 0; i < step.values.size(); ++i) {
    ASSERT_NEAR(step.values[i], other.values[i], tolerance * largest) << i;
  }
}

}  // namespace dermatome::testing

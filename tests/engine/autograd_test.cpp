// Differentiation of graphs.
#include "engine/graph/autograd.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/expect_error.h"
#include "tests/engine/run_graph.h"
#include "tests/harness/test_ops.h"

namespace dermatome {
namespace {

std::size_t count_nodes(const Graph& graph, std::string_view op) {
  return static_cast<std::size_t>(std::count_if(graph.nodes().begin(), graph.nodes().end(),
                                                [&](const Node& node) { return node.op->name() == op; }));
}

// The gradient's values for x = 1, 2, 3, 4 (and v = 5, 6, 7, 8 where the graph has it).
std::vector<float> run(const Graph& graph, Value gradient) {
  Graph copy = graph;
  copy.mark_output("gradient", gradient);
  StateStore store;
  Program program(copy, kCpuDevice, store);
  program.input("x").copy_from(vector_of({1, 2, 3, 4}));
  if (graph.inputs().size() > 1) program.input("v").copy_from(vector_of({5, 6, 7, 8}));
  program.run();
  return elements(program.output("gradient"));
}

TEST(Autograd, AddsWhatComesOverTwoPaths) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kVector);
  const Value square = builder.call("test_square", {x});
  const Value loss = builder.call("test_total", {builder.add(square, x)});  // sum of x^2 + x
  const Value gradient = differentiate(graph, loss, {x})[0];
  EXPECT_EQ(run(graph, gradient), (std::vector<float>{3, 5, 7, 9}));
}

TEST(Autograd, AddsBothInputsOfOneNode) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kVector);
  const Value loss = builder.call("test_total", {builder.call("test_multiply", {x, x})});
  EXPECT_EQ(run(graph, differentiate(graph, loss, {x})[0]), (std::vector<float>{2, 4, 6, 8}));
}

TEST(Autograd, GoesThroughReorderingOps) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kVector);
  const Value v = graph.add_input("v", kVector);
  const Value product = builder.call("test_multiply", {builder.call("test_reverse", {x}), v});
  const Value loss = builder.call("test_total", {product});
  EXPECT_EQ(run(graph, differentiate(graph, loss, {x})[0]), (std::vector<float>{8, 7, 6, 5}));
}

TEST(Autograd, FrozenValuesGetNoNodes) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kVector);
  const Value v = graph.add_input("v", kVector);
  const Value early = builder.call("test_square", {v});  // depends on v alone
  const Value loss = builder.call("test_total", {builder.call("test_multiply", {x, early})});
  const std::size_t before = graph.nodes().size();
  const auto gradients = differentiate(graph, loss, {x});
  EXPECT_EQ(gradients.size(), 1u);
  // fill, spread, one multiply: nothing for test_square, nothing for the other factor.
  EXPECT_EQ(graph.nodes().size() - before, 3u);
  EXPECT_EQ(count_nodes(graph, "test_multiply"), 2u);
}

TEST(Autograd, IndependentValuesHaveNoGradient) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kVector);
  const Value v = graph.add_input("v", kVector);
  const Value loss = builder.call("test_total", {x});
  const auto gradients = differentiate(graph, loss, {v, x});
  EXPECT_FALSE(gradients[0]);
  EXPECT_TRUE(gradients[1]);
}

TEST(Autograd, SeedIsTheConstantOne) {
  Graph graph;
  Builder builder(graph);
  const Value loss = graph.add_input("x", {DType::f32, {1}});
  const Value gradient = differentiate(graph, loss, {loss})[0];
  EXPECT_TRUE(builder.is_fill(gradient, 1));
}

TEST(Autograd, IntermediateValuesCanBeAskedFor) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kVector);
  const Value middle = builder.call("test_increment", {x});
  const Value loss = builder.call("test_total", {builder.call("test_square", {middle})});
  EXPECT_EQ(run(graph, differentiate(graph, loss, {middle})[0]), (std::vector<float>{4, 6, 8, 10}));
}

TEST(Autograd, CountsDoNotCarryGradients) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kVector);
  const auto outputs = builder.call_all("test_counts", {x});
  EXPECT_EQ(run(graph, differentiate(graph, outputs[0], {x})[0]), (std::vector<float>{1, 1, 1, 1}));
  EXPECT_FALSE(differentiate(graph, outputs[1], {x})[0]);
}

TEST(Autograd, OpsWithoutAGradientAreNamed) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kVector);
  builder.set_scope({.name = "layer1.scratch", .group = {}, .at = {"net.graph", 4, 2}});
  const Value middle = builder.call("test_scratch", {x});
  const Value loss = builder.call("test_total", {middle});
  expect_error([&] { differentiate(graph, loss, {x}); },
               {"net.graph:4:2", "layer1.scratch", "test_scratch", "no gradient"});
}

TEST(Autograd, OnlyANumberCanBeDifferentiated) {
  Graph graph;
  const Value x = graph.add_input("x", kVector);
  expect_error([&] { differentiate(graph, x, {x}); }, {"single number", "[4]"});
}

TEST(Autograd, GradientsHaveTheShapeOfTheirInputs) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kVector);
  const Value y = builder.call("test_square", {x});
  GradientContext context(builder, graph.nodes()[0], {y}, {true});
  expect_error([&] { context.set(0, builder.call("test_total", {x})); }, {"test_square", "[1]", "[4]"});
}

TEST(Autograd, BackwardNodesInheritNameGroupAndPlace) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kVector);
  builder.set_scope({.name = "conv1", .group = "encoder", .at = {"net.graph", 7, 1}});
  const Value y = builder.call("test_square", {x});
  const Value loss = builder.call("test_total", {y});
  differentiate(graph, loss, {x});
  const Node& last = graph.nodes().back();
  EXPECT_EQ(last.name, "gradient of conv1");
  EXPECT_EQ(last.group, "encoder");
  EXPECT_EQ(to_string(last.at), "net.graph:7:1");
}

}  // namespace
}  // namespace dermatome

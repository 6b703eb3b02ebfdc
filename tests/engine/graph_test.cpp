// Graph and Builder: construction, look-up, dead nodes, order.
#include "engine/graph/graph.h"

#include <gtest/gtest.h>

#include "engine/graph/builder.h"
#include "tests/engine/expect_error.h"
#include "tests/harness/test_ops.h"

namespace dermatome {
namespace {

const TensorDesc kFour{DType::f32, {4}};

std::vector<std::string> names_of_nodes(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes()) names.push_back(node.name);
  return names;
}

Value named(Builder& builder, std::string name, std::string_view op, std::vector<Value> inputs) {
  builder.set_scope({.name = std::move(name), .group = {}, .at = {}});
  return builder.call(op, std::move(inputs));
}

TEST(Graph, UnknownNamesListWhatThereIs) {
  Graph graph;
  graph.add_input("image", kFour);
  graph.add_input("mask", kFour);
  expect_error([&] { graph.input("picture"); }, {"no input 'picture'", "image, mask"});
  expect_error([&] { graph.output("loss"); }, {"no output 'loss'", "none"});
  EXPECT_FALSE(graph.state("nothing"));
}

TEST(Graph, NamesAreUnique) {
  Graph graph;
  const Value x = graph.add_input("x", kFour);
  graph.mark_output("y", x);
  expect_error([&] { graph.add_input("x", kFour); }, {"input 'x' already"});
  expect_error([&] { graph.mark_output("y", x); }, {"output 'y' already"});
}

TEST(Graph, UnknownOpsGetASuggestion) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kFour);
  expect_error<UsageError>([&] { builder.call("test_sqare", {x}); }, {"test_sqare", "did you mean 'test_square'"});
}

TEST(Graph, NodeErrorsSayWhichAndWhere) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kFour);
  builder.set_scope({.name = "layer1.big", .group = {}, .at = {"net.graph", 12, 3}});
  expect_error<UsageError>([&] { builder.call("test_large", {x}); },
                           {"net.graph:12:3", "layer1.big", "test_large", "count must be given"});
  expect_error([&] { builder.call("test_multiply", {x}); }, {"net.graph:12:3", "input 'b' is missing"});
  expect_error([&] { builder.call("test_square", {x, x}); }, {"takes 1 inputs, not 2"});
  EXPECT_TRUE(graph.nodes().empty());
}

TEST(Graph, StatesAreReadOnceAndWrittenOnce) {
  Graph graph;
  const StateDeclaration declaration{.name = "w", .desc = kFour, .initializer = {}, .group = {}};
  const Value w = graph.read_state(declaration);
  EXPECT_EQ(graph.read_state(declaration), w);
  EXPECT_EQ(graph.state("w"), w);
  StateDeclaration other = declaration;
  other.desc.shape = {5};
  expect_error([&] { graph.read_state(other); }, {"'w'", "[4]", "[5]"});
  Builder builder(graph);
  const Value next = builder.call("test_increment", {w});
  expect_error([&] { graph.write_state("v", next); }, {"'v' must be declared"});
  expect_error([&] { graph.write_state("w", builder.call("test_total", {w})); }, {"'w'", "[4]", "[1]"});
  graph.write_state("w", next);
  expect_error([&] { graph.write_state("w", next); }, {"written twice"});
}

TEST(Graph, DropsNodesThatReachNothing) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kFour);
  const Value w = graph.read_state({.name = "w", .desc = kFour, .initializer = {}, .group = {}});
  const Value kept = named(builder, "kept", "test_square", {x});
  const Value unused = named(builder, "unused", "test_square", {kept});
  named(builder, "unused user", "test_square", {unused});
  const Value next = named(builder, "next", "test_increment", {w});
  graph.mark_output("y", kept);
  graph.write_state("w", next);
  graph.remove_dead_nodes();
  EXPECT_EQ(names_of_nodes(graph), (std::vector<std::string>{"kept", "next"}));
  EXPECT_EQ(graph.info(next).producer, 1);
  EXPECT_EQ(graph.info(unused).producer, -1);
}

TEST(Graph, KeepsANodeForOneOfItsOutputs) {
  Graph graph;
  Builder builder(graph);
  const auto halves = builder.call_all("test_halves", {graph.add_input("x", kFour)});
  graph.mark_output("second", halves[1]);
  graph.remove_dead_nodes();
  EXPECT_EQ(graph.nodes().size(), 1u);
}

TEST(Graph, ReplacesUsesInNodesOutputsAndStates) {
  Graph graph;
  Builder builder(graph);
  const Value w = graph.read_state({.name = "w", .desc = kFour, .initializer = {}, .group = {}});
  const Value old_value = builder.call("test_square", {w});
  const Value new_value = builder.call("test_increment", {w});
  const Value reader = builder.call("test_reverse", {old_value});
  graph.mark_output("y", old_value);
  graph.write_state("w", old_value);
  graph.replace_uses(old_value, new_value);
  EXPECT_EQ(graph.nodes()[static_cast<std::size_t>(graph.info(reader).producer)].inputs[0], new_value);
  EXPECT_EQ(graph.output("y"), new_value);
  EXPECT_EQ(graph.state_writes()[0].value, new_value);
  expect_error([&] { graph.replace_uses(new_value, builder.call("test_total", {w})); }, {"[4]", "[1]"});
}

TEST(Graph, ReplacesUsesOnlyBeforeANode) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kFour);
  const Value old_value = named(builder, "old", "test_square", {x});
  const Value reader = named(builder, "reader", "test_reverse", {old_value});
  const Value wrapped = named(builder, "wrapped", "test_increment", {old_value});
  graph.mark_output("y", reader);
  graph.replace_uses(old_value, wrapped, 2);
  EXPECT_EQ(graph.nodes()[1].inputs[0], wrapped);
  EXPECT_EQ(graph.nodes()[2].inputs[0], old_value);
  // Dead code is found although a reader stands in front of what it reads.
  named(builder, "dead", "test_square", {wrapped});
  graph.remove_dead_nodes();
  ASSERT_TRUE(graph.sort_topologically());
  EXPECT_EQ(names_of_nodes(graph), (std::vector<std::string>{"old", "wrapped", "reader"}));
}

TEST(Graph, SortsByOrderWhereThereIsAChoice) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kFour);
  const Value a = named(builder, "a", "test_square", {x});
  named(builder, "b", "test_increment", {x});
  named(builder, "c", "test_reverse", {a});
  graph.set_order(0, 5);
  ASSERT_TRUE(graph.sort_topologically());
  EXPECT_EQ(names_of_nodes(graph), (std::vector<std::string>{"b", "a", "c"}));
}

TEST(Graph, ConstraintsThatMakeACycleChangeNothing) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kFour);
  const Value a = named(builder, "a", "test_square", {x});
  named(builder, "b", "test_reverse", {a});
  named(builder, "c", "test_increment", {x});
  EXPECT_FALSE(graph.sort_topologically({{1, 0}}));
  EXPECT_EQ(names_of_nodes(graph), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_TRUE(graph.sort_topologically({{2, 0}}));
  EXPECT_EQ(names_of_nodes(graph), (std::vector<std::string>{"c", "a", "b"}));
}

TEST(Graph, UsersAreListedOncePerUse) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kFour);
  builder.call("test_multiply", {x, x});
  EXPECT_EQ(graph.users()[static_cast<std::size_t>(x.id)], (std::vector<int>{0, 0}));
}

TEST(Builder, CastOfTheSameTypeIsNothing) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", kFour);
  EXPECT_EQ(builder.cast(x, DType::f32), x);
  EXPECT_EQ(graph.desc(builder.cast(x, DType::f64)).type, DType::f64);
}

TEST(Builder, KnowsItsFills) {
  Graph graph;
  Builder builder(graph);
  const Value one = builder.fill({DType::f32, {2, 3}}, 1);
  EXPECT_EQ(graph.desc(one), (TensorDesc{DType::f32, {2, 3}}));
  EXPECT_TRUE(builder.is_fill(one, 1));
  EXPECT_FALSE(builder.is_fill(one, 2));
  EXPECT_FALSE(builder.is_fill(graph.add_input("x", kFour), 1));
}

}  // namespace
}  // namespace dermatome

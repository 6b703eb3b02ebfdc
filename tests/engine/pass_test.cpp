// Patterns and rewrites.
#include "engine/compile/pass.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/expect_error.h"
#include "tests/engine/run_graph.h"
#include "tests/harness/test_ops.h"

namespace dermatome {
namespace {

std::vector<std::string> ops_of(const Graph& graph) {
  std::vector<std::string> ops;
  for (const Node& node : graph.nodes()) ops.push_back(node.op->name());
  return ops;
}

// Two increments of reversed values are one reverse of two increments; only test graphs have such a chain.
const RewriteRegistrar swap_reverse_and_increment({
    .name = "test_increment_first",
    .summary = "test only",
    .order = 1000,
    .pattern = "outer=test_increment(inner=test_reverse(x))",
    .apply = [](Builder& builder, const Match& match) -> std::vector<Rewrite::Replacement> {
      const Value incremented = builder.call("test_increment", {match.value("x")});
      return {{.from = match.root, .to = builder.call("test_reverse", {incremented})}};
    },
});

// Declines wherever its input is not a graph input, so it must look further.
const RewriteRegistrar halve_twice({
    .name = "test_drop_double_reverse",
    .summary = "test only",
    .order = 1001,
    .pattern = "test_reverse(test_reverse(x))",
    .apply = [](Builder& builder, const Match& match) -> std::vector<Rewrite::Replacement> {
      if (builder.graph().info(match.value("x")).producer >= 0) return {};
      return {{.from = match.root, .to = match.value("x")}};
    },
});

// What it adds reads the value that it replaces.
const RewriteRegistrar wrap({
    .name = "test_wrap_counted",
    .summary = "test only",
    .order = 1002,
    .pattern = "test_square(test_square(x))",
    .apply = [](Builder& builder, const Match& match) -> std::vector<Rewrite::Replacement> {
      if (builder.graph().info(match.root).name != "wrap me") return {};
      for (const Node& node : builder.graph().nodes()) {
        if (node.name == "wrapping") return {};
      }
      Builder::Scope scope = builder.scope();
      scope.name = "wrapping";
      builder.set_scope(scope);
      return {{.from = match.root, .to = builder.call("test_increment", {match.root})}};
    },
});

const RewriteRegistrar endless({
    .name = "test_endless",
    .summary = "test only",
    .order = 1003,
    .pattern = "test_spread(x, x)",
    .apply = [](Builder& builder, const Match& match) -> std::vector<Rewrite::Replacement> {
      return {{.from = match.root, .to = builder.call("test_spread", {match.value("x"), match.value("x")})}};
    },
});

struct Chain {
  Graph graph;
  Builder builder{graph};
  Value x = graph.add_input("x", kVector);
};

bool matches(const Graph& graph, std::string_view pattern, int node, Match& match) {
  return Pattern(pattern).match(graph, graph.users(), node, match);
}

bool matches(const Graph& graph, std::string_view pattern, int node) {
  Match match;
  return matches(graph, pattern, node, match);
}

TEST(Pattern, CapturesValuesAndNodes) {
  Chain c;
  const Value inner = c.builder.call("test_reverse", {c.x});
  const Value outer = c.builder.call("test_multiply", {inner, c.x});
  Match match;
  ASSERT_TRUE(matches(c.graph, "m=test_multiply(r=test_reverse(x), x)", 1, match));
  EXPECT_EQ(match.value("x"), c.x);
  EXPECT_EQ(match.nodes["r"], 0);
  EXPECT_EQ(match.nodes["m"], 1);
  EXPECT_EQ(match.root, outer);
  EXPECT_FALSE(match.value("nobody"));
}

TEST(Pattern, RepeatedWordsAreOneValue) {
  Chain c;
  const Value other = c.graph.add_input("other", kVector);
  c.builder.call("test_multiply", {c.x, c.x});
  c.builder.call("test_multiply", {c.x, other});
  EXPECT_TRUE(matches(c.graph, "test_multiply(a, a)", 0));
  EXPECT_FALSE(matches(c.graph, "test_multiply(a, a)", 1));
  EXPECT_TRUE(matches(c.graph, "test_multiply(a, b)", 1));
}

TEST(Pattern, TermsOfASumMatchInEitherOrder) {
  Chain c;
  const Value reversed = c.builder.call("test_reverse", {c.x});
  c.builder.add(c.x, reversed);
  Match match;
  EXPECT_TRUE(matches(c.graph, "add(test_reverse(a), b)", 1, match));
  EXPECT_EQ(match.value("b"), c.x);
  EXPECT_TRUE(matches(c.graph, "add(b, test_reverse(a))", 1));
  Chain other;
  other.builder.call("test_multiply", {other.x, other.builder.call("test_reverse", {other.x})});
  EXPECT_FALSE(matches(other.graph, "test_multiply(test_reverse(a), b)", 1));
}

TEST(Pattern, TrailingInputsMayBeLeftOut) {
  Chain c;
  c.builder.call("test_multiply", {c.x, c.x});
  EXPECT_TRUE(matches(c.graph, "test_multiply(a)", 0));
  EXPECT_TRUE(matches(c.graph, "test_multiply()", 0));
  EXPECT_FALSE(matches(c.graph, "test_square(a)", 0));
}

TEST(Pattern, InnerNodesHaveNoOtherUse) {
  for (const std::string use : {"none", "node", "output", "state"}) {
    Chain c;
    const Value inner = c.builder.call("test_reverse", {c.x});
    c.builder.call("test_increment", {inner});
    if (use == "node") c.builder.call("test_square", {inner});
    if (use == "output") c.graph.mark_output("y", inner);
    if (use == "state") {
      state_of(c.graph, "s");
      c.graph.write_state("s", inner);
    }
    EXPECT_EQ(matches(c.graph, "test_increment(test_reverse(x))", 1), use == "none") << use;
  }
}

TEST(Pattern, OnlyFirstOutputsMatchInside) {
  Chain c;
  const auto halves = c.builder.call_all("test_halves", {c.x});
  c.builder.call("test_square", {halves[0]});
  c.builder.call("test_square", {halves[1]});
  EXPECT_TRUE(matches(c.graph, "test_square(test_halves(x))", 1));
  EXPECT_FALSE(matches(c.graph, "test_square(test_halves(x))", 2));
}

TEST(Pattern, BadTextsAreErrors) {
  for (const char* text : {"", "relu(", "relu(x))", "a=b", "relu(x y", "(x)", "relu(=x)"}) {
    EXPECT_THROW(Pattern{text}, Error) << text;
  }
}

TEST(Rewrite, ReplacesWhatLaterNodesRead) {
  Chain c;
  const Value old_root = c.builder.call("test_increment", {c.builder.call("test_reverse", {c.x})});
  c.graph.mark_output("y", c.builder.call("test_square", {old_root}));
  std::map<std::string, int> applied;
  run_passes(c.graph, {}, &applied);
  EXPECT_EQ(applied["test_increment_first"], 1);
  EXPECT_EQ(ops_of(c.graph), (std::vector<std::string>{"test_increment", "test_reverse", "test_square"}));
}

TEST(Rewrite, KeepsTheResult) {
  Chain c;
  const Value old_root = c.builder.call("test_increment", {c.builder.call("test_reverse", {c.x})});
  c.graph.mark_output("y", c.builder.call("test_square", {old_root}));
  CompileOptions off;
  disable_pass(off, "test_increment_first");
  for (const CompileOptions& options : {CompileOptions{}, off}) {
    StateStore store;
    Program program(c.graph, kCpuDevice, store, options);
    EXPECT_EQ(program.applied_passes().contains("test_increment_first"), options.disabled_passes.empty());
    program.input("x").copy_from(vector_of({1, 2, 3, 4}));
    program.run();
    EXPECT_EQ(elements(program.output("y")), (std::vector<float>{25, 16, 9, 4}));
  }
}

TEST(Rewrite, RunsToItsFixedPoint) {
  Chain c;
  Value y = c.x;
  for (int i = 0; i < 3; ++i) y = c.builder.call("test_increment", {c.builder.call("test_reverse", {y})});
  c.graph.mark_output("y", y);
  run_passes(c.graph, {});
  const auto ops = ops_of(c.graph);
  // Every increment has moved before every reverse, and a pair of reverses away from the input stays.
  EXPECT_EQ(ops, (std::vector<std::string>{"test_increment", "test_increment", "test_increment", "test_reverse",
                                           "test_reverse", "test_reverse"}));
}

TEST(Rewrite, LooksFurtherWhereItDeclines) {
  Chain c;
  Value far = c.builder.call("test_square", {c.x});
  for (int i = 0; i < 2; ++i) far = c.builder.call("test_reverse", {far});
  Value near = c.x;
  for (int i = 0; i < 2; ++i) near = c.builder.call("test_reverse", {near});
  c.graph.mark_output("far", far);
  c.graph.mark_output("near", near);
  run_passes(c.graph, {});
  EXPECT_EQ(c.graph.output("near"), c.x);
  EXPECT_EQ(ops_of(c.graph), (std::vector<std::string>{"test_square", "test_reverse", "test_reverse"}));
}

TEST(Rewrite, MayWrapWhatItReplaces) {
  Chain c;
  const Value inner = c.builder.call("test_square", {c.x});
  c.builder.set_scope({.name = "wrap me", .group = {}, .at = {}});
  const Value outer = c.builder.call("test_square", {inner});
  c.builder.set_scope({.name = "reader", .group = {}, .at = {}});
  c.graph.mark_output("y", c.builder.call("test_reverse", {outer}));
  run_passes(c.graph, {});
  EXPECT_EQ(ops_of(c.graph),
            (std::vector<std::string>{"test_square", "test_square", "test_increment", "test_reverse"}));
}

TEST(Rewrite, ThatNeverEndsIsAnError) {
  Chain c;
  c.graph.mark_output("y", c.builder.call("test_spread", {c.x, c.x}));
  expect_error([&] { run_passes(c.graph, {}); }, {"test_endless", "never"});
}

TEST(Rewrite, NewNodesTakeThePlaceOfTheOldRoot) {
  Chain c;
  c.builder.set_scope({.name = "chain", .group = "encoder", .at = {"net.graph", 3, 1}});
  const Value y = c.builder.call("test_increment", {c.builder.call("test_reverse", {c.x})});
  c.builder.set_scope({.name = "after", .group = {}, .at = {}});
  const Value z = c.builder.call("test_square", {y});
  c.builder.set_scope({.name = "last", .group = {}, .at = {}});
  const Value w = c.builder.call("test_square", {c.x});
  c.graph.mark_output("z", z);
  c.graph.mark_output("w", w);
  run_passes(c.graph, {});
  std::vector<std::string> names;
  for (const Node& node : c.graph.nodes()) names.push_back(node.name);
  EXPECT_EQ(names, (std::vector<std::string>{"chain", "chain", "after", "last"}));
  EXPECT_EQ(c.graph.nodes()[0].group, "encoder");
}

TEST(Passes, UnknownNamesGetASuggestion) {
  CompileOptions options;
  expect_error<UsageError>([&] { disable_pass(options, "test_increment_frist"); },
                           {"test_increment_frist", "did you mean 'test_increment_first'"});
}

TEST(Kernels, DisabledImplementationsAreNotAsked) {
  Chain c;
  c.graph.mark_output("y", c.builder.call("test_square", {c.x}));
  CompileOptions options;
  expect_error<UsageError>([&] { disable_kernel(options, "winogard"); }, {"'winogard'", "winograd", "cpu"});
  EXPECT_TRUE(options.disabled_kernels.empty());
  disable_kernel(options, "test");
  StateStore store;
  expect_error([&] { Program(c.graph, kCpuDevice, store, options); }, {"no test_square kernel", "cpu"});
}

TEST(Passes, RunInTheirOrder) {
  const auto rewrites = all_rewrites();
  EXPECT_TRUE(std::is_sorted(rewrites.begin(), rewrites.end(),
                             [](const Rewrite* a, const Rewrite* b) { return a->order < b->order; }));
  for (const Rewrite* rewrite : rewrites) {
    if (rewrite->apply != nullptr) EXPECT_NO_THROW(Pattern{rewrite->pattern}) << rewrite->name;
    EXPECT_FALSE(rewrite->summary.empty()) << rewrite->name;
  }
}

}  // namespace
}  // namespace dermatome

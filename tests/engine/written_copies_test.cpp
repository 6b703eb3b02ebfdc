// The pass update_writes_copies: what an update leaves of the copies of its weights.
#include "engine/compile/written_copies.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "engine/compile/program.h"
#include "tests/engine/run_graph.h"
#include "tests/harness/test_ops.h"

namespace dermatome {
namespace {

using Floats = std::vector<float>;

const TensorDesc kFive{DType::f32, {5}};
const TensorDesc kOne{DType::f32, {1}};

// A program that reads w, prepared for test_weighted or test_weighted_by_rows, and Adam on w with a gradient of zeros
// and moments that move w by 1 each time.
class WrittenCopiesOf : public ::testing::TestWithParam<const char*> {
 protected:
  void compile(const CompileOptions& options = {}) {
    const Value x = forward_.graph.add_input("x", kFive);
    forward_.graph.mark_output("y", forward_.builder.call(GetParam(), {x, state_of(forward_.graph, "w", kFive)}));
    Graph graph;
    Builder builder(graph);
    const auto updated = builder.call_all(
        "adam",
        {graph.add_input("step", kOne), graph.add_input("beta1", kOne), graph.add_input("rates", kOne),
         graph.add_input("groups", {DType::i32, {1}}), Value{}, state_of(graph, "w", kFive),
         state_of(graph, "first", kFive), state_of(graph, "second", kFive), graph.add_input("gradient", kFive)},
        {{"beta2", 0.999}, {"eps", 1e-8}, {"weight_decay", 0.0}});
    graph.write_state("w", updated[0]);
    graph.write_state("first", updated[1]);
    graph.write_state("second", updated[2]);
    StateStore& store = forward_.store;
    store.create(forward_.graph.states(), 1);
    store.create(graph.states(), 1);
    store.write("w", vector_of({1, 2, 3, 4, 5}));
    net_.emplace(forward_.graph, kCpuDevice, store, options);
    update_.emplace(graph, kCpuDevice, store, options);
    net_->input("x").copy_from(vector_of({1, 1, 1, 1, 10}));
    update_->input("step").copy_from(vector_of({1}));
    update_->input("beta1").copy_from(vector_of({0.9f}));
    update_->input("rates").copy_from(vector_of({1}));
    update_->input("groups").zero();
    update_->input("gradient").copy_from(vector_of({-1, -1, -1, -1, -1}));
  }

  Floats y() {
    net_->run();
    Floats rounded = elements(net_->output("y"));
    for (float& value : rounded) value = std::round(value);
    return rounded;
  }
  // Moments of zero and a first step: w rises by the rate.
  void update() {
    forward_.store.get("first").tensor.zero();
    forward_.store.get("second").tensor.zero();
    update_->run();
  }
  bool by_rows() const { return std::string_view(GetParam()) == "test_weighted_by_rows"; }

  Draft forward_;
  std::optional<Program> net_;
  std::optional<Program> update_;
};

TEST_P(WrittenCopiesOf, TheUpdateLeavesThemFresh) {
  compile();
  EXPECT_EQ(update_->applied_passes().at(kUpdateWritesCopies), 3) << "outputs in states' memory";
  EXPECT_EQ(y(), (Floats{1, 2, 3, 4, 50}));
  const int reorders = harness::weighted_reorders();
  const int rows = harness::weighted_rows();
  update();
  EXPECT_EQ(harness::weighted_reorders() - reorders, by_rows() ? 0 : 1);
  EXPECT_EQ(harness::weighted_rows() - rows, by_rows() ? 3 : 0) << "two, two and one";
  EXPECT_EQ(y(), (Floats{2, 3, 4, 5, 60}));
  EXPECT_EQ(harness::weighted_reorders() - reorders, by_rows() ? 0 : 1) << "the run that reads it makes none";
}

TEST_P(WrittenCopiesOf, OneThatNoRunReadIsLeftStale) {
  compile();
  EXPECT_EQ(y(), (Floats{1, 2, 3, 4, 50}));
  update();
  const int before = harness::weighted_reorders() + harness::weighted_rows();
  update();
  EXPECT_EQ(harness::weighted_reorders() + harness::weighted_rows() - before, 0);
  EXPECT_EQ(y(), (Floats{3, 4, 5, 6, 70}));
  EXPECT_EQ(harness::weighted_reorders() + harness::weighted_rows() - before, 1);
}

TEST_P(WrittenCopiesOf, WritesFromElsewhereMakeThemStaleAsBefore) {
  compile();
  y();
  update();
  forward_.store.write("w", vector_of({5, 5, 5, 5, 5}));
  EXPECT_EQ(y(), (Floats{5, 5, 5, 5, 50}));
}

TEST_P(WrittenCopiesOf, TheReaderMayBeGone) {
  compile();
  y();
  net_.reset();
  update();
  net_.emplace(forward_.graph, kCpuDevice, forward_.store, CompileOptions{});
  net_->input("x").copy_from(vector_of({1, 1, 1, 1, 10}));
  EXPECT_EQ(y(), (Floats{2, 3, 4, 5, 60}));
}

TEST_P(WrittenCopiesOf, WithoutThePassTheReaderMakesThem) {
  CompileOptions options;
  disable_pass(options, kUpdateWritesCopies);
  compile(options);
  EXPECT_EQ(update_->applied_passes().count(kUpdateWritesCopies), 0u);
  y();
  const int before = harness::weighted_reorders();
  const int rows = harness::weighted_rows();
  update();
  EXPECT_EQ(harness::weighted_reorders() - before, 0);
  EXPECT_EQ(y(), (Floats{2, 3, 4, 5, 60}));
  EXPECT_EQ(harness::weighted_reorders() - before, 1);
  EXPECT_EQ(harness::weighted_rows(), rows);
}

INSTANTIATE_TEST_SUITE_P(Copies, WrittenCopiesOf, ::testing::Values("test_weighted", "test_weighted_by_rows"));

}  // namespace
}  // namespace dermatome

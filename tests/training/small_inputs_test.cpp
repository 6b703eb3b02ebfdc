// One buffer for what differs between steps.
#include "tools/training/small_inputs.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/engine/expect_error.h"
#include "tests/engine/run_graph.h"

namespace dermatome::training {
namespace {

Program doubled(std::int64_t count, StateStore& store) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", {DType::f32, {count}});
  graph.mark_output("y", builder.add(x, builder.add(x, graph.add_input("bias", {DType::f32, {count}}))));
  return Program(graph, kCpuDevice, store, {});
}

TEST(SmallInputs, ReachTheProgramsWhenTheyAreSent) {
  StateStore store;
  Program four = doubled(4, store);
  Program two = doubled(2, store);
  SmallInputs inputs({{"x", 16}, {"bias", 16}}, kCpuDevice);
  inputs.set<float>(four, "x", std::array{1.0f, 2.0f, 3.0f, 4.0f});
  inputs.set<float>(four, "bias", std::array{10.0f, 0.0f, 0.0f, 0.0f});
  inputs.send();
  four.run();
  EXPECT_EQ(elements(four.output("y")), (std::vector<float>{12, 4, 6, 8}));
  // A program of another batch reads the beginning of the same room.
  inputs.set<float>(two, "x", std::array{7.0f, 8.0f});
  inputs.set<float>(two, "bias", std::array{0.0f, 1.0f});
  four.run();
  EXPECT_EQ(elements(four.output("y")), (std::vector<float>{12, 4, 6, 8})) << "nothing has been sent";
  inputs.send();
  two.run();
  EXPECT_EQ(elements(two.output("y")), (std::vector<float>{14, 17}));
}

TEST(SmallInputs, OfAnotherSizeAreRefused) {
  StateStore store;
  Program program = doubled(4, store);
  SmallInputs inputs({{"x", 8}}, kCpuDevice);
  expect_error([&] { inputs.set<float>(program, "x", std::array{1.0f, 2.0f}); }, {"'x'", "f32[4]", "8 bytes"});
  expect_error([&] { inputs.set<float>(program, "x", std::array{1.0f, 2.0f, 3.0f, 4.0f}); }, {"'x'", "16 bytes"});
  expect_error([&] { inputs.set<float>(program, "bias", std::array{1.0f, 2.0f, 3.0f, 4.0f}); }, {"no room"});
}

}  // namespace
}  // namespace dermatome::training

// Programs: inputs, outputs, memory, and what they refuse.
#include "engine/compile/program.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/core/threads.h"
#include "tests/engine/expect_error.h"
#include "tests/engine/run_graph.h"
#include "tests/harness/test_ops.h"

namespace dermatome {
namespace {

using Floats = std::vector<float>;

TEST(Program, OneValueCanBeTwoOutputs) {
  Draft s;
  const Value y = s.call("y", "test_square", {s.graph.add_input("x", kVector)});
  s.graph.mark_output("y", y);
  s.graph.mark_output("again", y);
  Program program = s.compile();
  program.input("x").copy_from(vector_of({1, 2, 3, 4}));
  program.run();
  EXPECT_EQ(elements(program.output("y")), elements(program.output("again")));
}

TEST(Program, BoundTensorsAreReadWhereTheyLie) {
  Draft s;
  s.graph.mark_output("y", s.call("y", "test_increment", {s.graph.add_input("x", kVector)}));
  Program program = s.compile();
  const Tensor mine = vector_of({1, 2, 3, 4});
  program.bind("x", mine);
  program.run();
  EXPECT_EQ(elements(program.output("y")), (Floats{2, 3, 4, 5}));
  EXPECT_EQ(elements(mine), (Floats{1, 2, 3, 4}));
  mine.as<float>()[0] = 10;
  program.run();
  EXPECT_EQ(elements(program.output("y"))[0], 11);
  expect_error([&] { program.bind("x", Tensor({DType::f32, {5}})); }, {"'x'", "f32[4]", "f32[5]"});
  expect_error([&] { program.bind("z", mine); }, {"no input 'z'"});
}

TEST(Program, InputsMustBeSet) {
  Draft s;
  s.graph.mark_output("y", s.call("y", "test_increment", {s.graph.add_input("x", kVector)}));
  Program program = s.compile();
  expect_error([&] { program.run(); }, {"input 'x' was never set"});
  (void)program.input("x");
  EXPECT_NO_THROW(program.run());
}

TEST(Program, InputsSurviveARun) {
  Draft s;
  const Value x = s.graph.add_input("x", kVector);
  s.graph.mark_output("y", s.call("again", "test_increment", {s.call("in place", "test_increment", {x})}));
  Program program = s.compile();
  program.input("x").copy_from(vector_of({1, 2, 3, 4}));
  for (int i = 0; i < 2; ++i) program.run();
  EXPECT_EQ(elements(program.output("y")), (Floats{3, 4, 5, 6}));
}

TEST(Program, ValuesThatAreReadLaterAreNotOverwritten) {
  Draft s;
  const Value x = s.graph.add_input("x", kVector);
  const Value shared = s.call("shared", "test_square", {x});
  const Value overwriting = s.call("increment", "test_increment", {shared});
  s.graph.mark_output("y", s.call("y", "test_multiply", {overwriting, s.call("reverse", "test_reverse", {shared})}));
  for (const bool planner : {true, false}) {
    Program program = s.compile({.disabled_passes = {}, .planner = planner, .dump_tensors = {}});
    program.input("x").copy_from(vector_of({1, 2, 3, 4}));
    program.run();
    EXPECT_EQ(elements(program.output("y")), (Floats{2 * 16, 5 * 9, 10 * 4, 17 * 1}));
  }
}

TEST(Program, ChainsOfInPlaceOpsNeedOneBuffer) {
  Draft s;
  const TensorDesc large{DType::f32, {1000}};
  Value y = s.call("square", "test_square", {s.graph.add_input("x", large)});
  for (int i = 0; i < 10; ++i) y = s.call("increment", "test_increment", {y});
  s.graph.mark_output("total", s.call("total", "test_total", {y}));
  EXPECT_EQ(s.compile().memory().arena, 4032u);
  EXPECT_GE(s.compile({.disabled_passes = {}, .planner = false, .dump_tensors = {}}).memory().arena, 11u * 4000);
}

TEST(Program, TellsWhatLiesInTheArenaAndHowLong) {
  Draft s;
  const Value square = s.call("square", "test_square", {s.graph.add_input("x", {DType::f32, {1000}})});
  const Value scratch = s.call("scratch", "test_scratch", {square});
  const Value weight = s.call("weight", "test_increment", {square});  // in place of the square
  s.graph.mark_output("total", s.call("total", "test_total", {s.call("y", "test_weighted", {scratch, weight})}));
  const Program program = s.compile();
  ASSERT_EQ(step_names(program),
            (std::vector<std::string>{"square", "scratch", "weight", "reorder for y", "y", "total"}));
  std::vector<std::string> told;
  for (const ArenaUse& use : program.lifetimes()) {
    const char* kind = use.kind == ArenaUse::Kind::value ? "value" : use.value >= 0 ? "reordered" : "workspace";
    told.push_back(fmt::format("{} {} of {}: {} to {}, {} bytes", use.slot, kind,
                               program.steps()[static_cast<std::size_t>(use.first)].name, use.first, use.last,
                               use.bytes));
    EXPECT_LE(use.offset + use.bytes, program.memory().arena);
  }
  EXPECT_EQ(told, (std::vector<std::string>{
                      "0 reordered of reorder for y: 3 to 4, 4032 bytes", "1 value of square: 0 to 2, 4032 bytes",
                      "1 value of weight: 2 to 3, 4032 bytes", "2 value of scratch: 1 to 4, 4032 bytes",
                      "3 workspace of scratch: 1 to 1, 8000 bytes", "4 value of y: 4 to 5, 4032 bytes"}));
  EXPECT_EQ(program.memory().arena_lower_bound, 4032u + 4032u + 8000u) << "while the scratch is made";
}

TEST(Program, UnusedOutputsGetNoMemory) {
  Draft s;
  const auto halves = s.builder.call_all("test_halves", {s.graph.add_input("x", kVector)});
  s.graph.mark_output("second", halves[1]);
  Program program = s.compile();
  EXPECT_EQ(program.steps()[0].outputs[0].data, nullptr);
  EXPECT_EQ(program.memory().arena, 0u);
  program.input("x").copy_from(vector_of({1, 2, 3, 4}));
  program.run();
  EXPECT_EQ(elements(program.output("second")), (Floats{3, 4}));
}

TEST(Program, TooMuchMemoryIsRefusedBeforeTheFirstStep) {
  Draft s;
  const Value x = s.graph.add_input("x", {DType::f32, {1}});
  const Value large = s.builder.call("test_large", {x}, {{"count", std::int64_t{1} << 44}});
  s.graph.mark_output("total", s.call("total", "test_total", {large}));
  try {
    s.compile();
    ADD_FAILURE() << "64 TiB were granted";
  } catch (const OutOfMemory& error) {
    EXPECT_GE(error.needed, std::size_t{1} << 46);
    EXPECT_LT(error.available, error.needed);
    EXPECT_NE(std::string(error.what()).find("MiB"), std::string::npos);
  }
}

TEST(Program, MissingKernelsNameOpAndLine) {
  Draft s;
  s.builder.set_scope({.name = "layer1.odd", .group = {}, .at = {"net.graph", 9, 5}});
  s.graph.mark_output("y", s.builder.call("test_without_kernel", {s.graph.add_input("x", kVector)}));
  expect_error([&] { s.compile(); }, {"net.graph:9:5", "layer1.odd", "test_without_kernel", "cpu", "f32", "[4]"});
}

TEST(Program, RunsOnlyWithTheThreadsThatItWasCompiledFor) {
  const int before = threads();
  set_threads(1);
  Draft s;
  s.graph.mark_output("y", s.call("y", "test_square", {s.state("a")}));
  Program program = s.compile();
  set_threads(2);
  expect_error([&] { program.run(); }, {"compiled for 1 threads", "2"});
  set_threads(1);
  EXPECT_NO_THROW(program.run());
  set_threads(before);
}

TEST(Program, TimesEveryStep) {
  Draft s;
  s.graph.mark_output("y",
                      s.call("y", "test_square", {s.call("x2", "test_reverse", {s.graph.add_input("x", kVector)})}));
  Program program = s.compile();
  program.bind("x", vector_of({1, 2, 3, 4}));
  const RunTimes times = program.run_timed();
  ASSERT_EQ(times.steps.size(), program.steps().size());
  double end = times.prepared.start + times.prepared.seconds;
  for (const auto& step : times.steps) {
    EXPECT_GT(step.seconds, 0);
    EXPECT_GE(step.start, end) << "one behind the other";
    end = step.start + step.seconds;
  }
  EXPECT_GE(times.total, end);
}

// Residual blocks with a state update and a gradient: every kind of storage at once.
struct SmallTraining : Draft {
  SmallTraining() {
    const TensorDesc wide{DType::f32, {512}};
    const Value x = graph.add_input("x", wide);
    const Value w = state_of(graph, "w", wide);
    Value y = builder.call("test_weighted", {x, w});
    for (int i = 0; i < 4; ++i) {
      const Value branch = builder.call("test_scratch", {builder.call("relu", {builder.call("test_reverse", {y})})});
      y = builder.add(builder.call("test_multiply", {branch, y}), x);
    }
    graph.mark_output("y", y);
    graph.mark_output("total", builder.call("test_total", {y}));
    graph.write_state("w", builder.call("test_increment", {w}));
  }

  std::vector<std::byte> result(const CompileOptions& options) {
    StateStore fresh;
    fresh.create(graph.states(), 3);
    fresh.get("w").tensor.zero();
    Program program(graph, kCpuDevice, fresh, options);
    const auto x = program.input("x").as<float>();
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.01f * static_cast<float>(i % 77) - 0.3f;
    for (int i = 0; i < 3; ++i) program.run();
    std::vector<std::byte> bytes;
    for (const Tensor& tensor : {program.output("y"), program.output("total"), fresh.read("w")}) {
      bytes.insert(bytes.end(), tensor.data(), tensor.data() + tensor.bytes());
    }
    return bytes;
  }
};

TEST(Program, PlannerAndPoisonDoNotChangeABit) {
  SmallTraining training;
  const auto plain = training.result({});
  EXPECT_EQ(training.result({}), plain) << "the same program again";
  EXPECT_EQ(training.result({.disabled_passes = {}, .planner = false, .dump_tensors = {}}), plain) << "without planner";
  EXPECT_EQ(training.result({.disabled_passes = {}, .poison_arena = true, .dump_tensors = {}}), plain) << "with poison";
  EXPECT_EQ(training.result({.disabled_passes = {}, .planner = false, .poison_arena = true, .dump_tensors = {}}), plain)
      << "with poison and without planner";
}

}  // namespace
}  // namespace dermatome

// A program that has run before asks for no memory when it runs again: not the engine, not a kernel. What oneDNN asks
// for to hand a primitive its arguments cannot be helped from outside; it is little and a bounded number of times a
// node or a weight's copy, and no scratchpad is among it.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "engine/core/threads.h"
#include "models/builtin.h"
#include "tests/allocations/counting.h"
#include "tools/measurement/step_bench.h"

namespace dermatome::allocations {
namespace {

TEST(Allocations, AreCountedWhereverTheyHappen) {
  start();
  void* volatile kept = std::malloc(10);  // the compiler leaves out requests that nobody looks at
  std::free(kept);
  auto number = std::make_unique<int>(3);
  kept = std::aligned_alloc(64, 6400);
  std::free(kept);
  std::thread([&] { number = std::make_unique<int>(4); }).join();
  const Counted counted = stop();
  EXPECT_GE(counted.ours, 4u);
  EXPECT_EQ(counted.in_onednn, 0u);
  EXPECT_EQ(counted.largest_bytes, 6400u);
  EXPECT_EQ(*number, 4);
  EXPECT_NE(counted.places, "");
  start();
  EXPECT_EQ(stop().ours, 0u);
}

constexpr std::size_t kLargestArgumentBytes = 1024;
constexpr std::size_t kMostOfANode = 128;  // requests of oneDNN: of one primitive, or of a gradient's and its reorder

bool is_onednn(const Step& step) {
  return step.kernel->describe().starts_with("onednn");
}

// Prepared copies of weights that a reorder of oneDNN makes, whoever runs it.
std::size_t copies_by_onednn(measurement::StepBench& bench) {
  std::size_t copies = 0;
  for (const auto& part : bench.parts()) {
    const auto kernels = part.program->prepared_by();
    copies += static_cast<std::size_t>(std::count_if(
        kernels.begin(), kernels.end(), [](const std::string& kernel) { return kernel.starts_with("onednn"); }));
  }
  return copies;
}

struct Situation {
  const char* mode;
  DType activations;
  int threads;
};

class SteadyState : public ::testing::TestWithParam<Situation> {};

TEST_P(SteadyState, AllocatesNothingButOnednnsArguments) {
  const Situation& situation = GetParam();
  if (situation.activations == DType::bf16 && !has_bf16_products()) {
    GTEST_SKIP() << "this processor has no bf16 instructions";
  }
  const int before = threads();
  set_threads(situation.threads);
  {
    const Model model = find_model("unet34");
    CompileOptions compile;
    compile.activations = situation.activations;
    measurement::StepBench bench(model, {.mode = situation.mode, .size = 64, .batch = 2, .compile = compile});
    for (int i = 0; i < 3; ++i) bench.run();
    start();
    bench.run();
    const Counted counted = stop();
    EXPECT_EQ(counted.ours, 0u) << counted.places;
    EXPECT_LE(counted.largest_bytes, kLargestArgumentBytes);
    const std::size_t copies = copies_by_onednn(bench);
    std::size_t nodes = 0;
    std::size_t most = 0;
    for (const auto& part : bench.parts()) {
      const auto& steps = part.program->steps();
      for (std::size_t i = 0; i < steps.size(); ++i) {  // in their order, as run() runs them
        start();
        part.program->run_step(i);
        const Counted alone = stop();
        EXPECT_EQ(alone.ours, 0u) << steps[i].name << alone.places;
        if (is_onednn(steps[i])) {
          ++nodes;
          most = std::max(most, alone.in_onednn);
        } else if (steps[i].kernel->copy_duty() ==
                   CopyDuty::tells) {  // it also writes copies of the weights that it updates
          EXPECT_LE(alone.in_onednn, copies * kMostOfANode) << steps[i].name;
        } else {
          EXPECT_EQ(alone.in_onednn, 0u) << steps[i].name;
        }
      }
    }
    EXPECT_LE(most, kMostOfANode);
    // After an update every copy is made anew, by the update or in front of the next run.
    EXPECT_LE(counted.in_onednn, (nodes + copies) * kMostOfANode);
    RecordProperty("onednn", static_cast<int>(counted.in_onednn));
    RecordProperty("onednn_nodes", static_cast<int>(nodes));
    RecordProperty("onednn_copies", static_cast<int>(copies));
    RecordProperty("most_of_a_node", static_cast<int>(most));
  }
  set_threads(before);
}

INSTANTIATE_TEST_SUITE_P(Steps, SteadyState,
                         ::testing::Values(Situation{"train", DType::f32, 1}, Situation{"infer", DType::f32, 1},
                                           Situation{"train", DType::bf16, 1}, Situation{"infer", DType::bf16, 1},
                                           Situation{"train", DType::f32, 2}, Situation{"infer", DType::f32, 2},
                                           Situation{"train", DType::bf16, 2}, Situation{"infer", DType::bf16, 2}),
                         [](const auto& instance) {
                           return fmt::format("{}_{}_{}", instance.param.mode, name_of(instance.param.activations),
                                              instance.param.threads);
                         });

}  // namespace
}  // namespace dermatome::allocations

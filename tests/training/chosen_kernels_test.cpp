// Which kernels U-Net34's programs are made of: none of oneDNN's references, and no activation goes through a reorder.
#include <gtest/gtest.h>

#include <fmt/ranges.h>

#include "engine/core/threads.h"
#include "models/builtin.h"
#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;

constexpr int kSize = 64;  // layers 1 to 3 are wide enough for Winograd, layer 4 is not

struct Found {
  std::vector<std::string> reorders;    // of what is no state
  std::vector<std::string> references;  // steps and copies that a reference implementation of oneDNN takes
  int by_onednn = 0;
  int copies_by_onednn = 0;
};

bool is_reference(const std::string& kernel) {
  return kernel.starts_with("onednn ref") || kernel.starts_with("onednn reorder ref");
}

Found found_in(const Program& program) {
  Found found;
  for (const Step& step : program.steps()) {
    const std::string kernel = step.kernel->describe();
    if (step.node < 0 && step.name.starts_with("reorder for ")) found.reorders.push_back(step.name);
    if (step.node >= 0 && kernel.starts_with("onednn ")) ++found.by_onednn;
    if (is_reference(kernel)) found.references.push_back(fmt::format("{} by {}", step.name, kernel));
  }
  for (const std::string& kernel : program.prepared_by()) {
    if (kernel.starts_with("onednn reorder ")) ++found.copies_by_onednn;
    if (is_reference(kernel)) found.references.push_back("a prepared copy by " + kernel);
  }
  return found;
}

class ChosenKernels : public ::testing::TestWithParam<DType> {};

TEST_P(ChosenKernels, AreNoReferencesAndNeedNoReorders) {
  const Model model = find_model("unet34");
  const StageSettings stage{.size = kSize, .batch_norm = "live", .schedule = {}, .group_lr = {}};
  StateStore store;
  store.create(states_of(model, DType::f32), 1);
  bool gradients = false;
  for (const std::vector<std::string>& disabled :
       {std::vector<std::string>{}, {"winograd"}, {"product"}, {"winograd", "product"}}) {
    CompileOptions options{.activations = GetParam()};
    for (const auto& name : disabled) disable_kernel(options, name);
    for (const bool train : {true, false}) {
      SCOPED_TRACE(fmt::format("{} without {}", train ? "train" : "infer", fmt::join(disabled, ", ")));
      const StagePrograms programs{.model = model, .stage = stage, .resident = 1, .compile = options};
      if (train && !gradients) store.create_contiguous(gradient_states(programs));
      gradients = gradients || train;
      const Program program(
          train ? accumulate_graph(programs, 1, false) : inference_graph(model, 1, kSize, kSize, DType::f32),
          kCpuDevice, store, options);
      const Found found = found_in(program);
      EXPECT_EQ(found.reorders, std::vector<std::string>{});
      EXPECT_EQ(found.references, std::vector<std::string>{});
      if (disabled.size() == 2 && GetParam() == DType::f32 && has_implementation("conv2d", kCpuDevice, "onednn")) {
        EXPECT_GT(found.by_onednn, 0);
        EXPECT_GT(found.copies_by_onednn, 0);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ChosenKernels, ::testing::Values(DType::f32, DType::bf16),
                         [](const auto& instance) { return std::string(name_of(instance.param)); });

// Kernels of our own prepare the weights in every run; where few pixels meet many weights, a direct convolution with a
// kept copy of them is chosen at inference.
TEST_P(ChosenKernels, AreDirectAtInferenceWhereWeightsOutweighPixels) {
  if (!has_implementation("conv2d_fused", kCpuDevice, "onednn")) GTEST_SKIP() << "this build has no oneDNN";
  if (GetParam() == DType::bf16 && (!has_bf16_products() || has_bf16_tiles()))
    GTEST_SKIP() << "here all convolutions in bf16 keep copies of weights, or there are none";
  const Model model = find_model("unet34");
  StateStore store;
  store.create(states_of(model, DType::f32), 1);
  const auto kernel_of = [&](std::int64_t batch, std::string_view node) {
    Graph graph = inference_graph(model, batch, 128, 128, DType::f32);
    const Program program(std::move(graph), kCpuDevice, store, {.activations = GetParam()});
    for (const Step& step : program.steps()) {
      if (step.name == node) return step.kernel->describe().substr(0, 6);
    }
    return std::string("no such node");
  };
  EXPECT_EQ(kernel_of(1, "layer4.1.conv1"), "onednn");
  EXPECT_EQ(kernel_of(1, "layer1.0.conv1"), "winogr");
  EXPECT_EQ(kernel_of(16, "layer4.1.conv1"), "winogr");
}

// What the first test looks for is found where it is: a weight that is no state is reordered in every run.
TEST(Reorders, AreSeenWhereAWeightIsNoState) {
  Graph graph;
  Builder builder(graph);
  const Value x = graph.add_input("x", {DType::f32, {1, 9, 9, 16}});
  const Value weight = graph.add_input("weight", {DType::f32, {32, 16, 3, 3}});
  graph.mark_output(
      "y", builder.call("conv2d", {x, weight}, {{"channels", 32}, {"kernel", 3}, {"pad", 1}, {"bias", false}}));
  CompileOptions options;
  options.implementation = "onednn";
  StateStore store;
  const Program program(graph, kCpuDevice, store, options);
  EXPECT_EQ(found_in(program).reorders.size(), 1u);
  EXPECT_EQ(found_in(program).by_onednn, 1);
  EXPECT_EQ(found_in(program).copies_by_onednn, 0);
  const std::string reorder = program.steps().front().kernel->describe();
  EXPECT_TRUE(reorder.starts_with("onednn reorder ")) << reorder;
  EXPECT_FALSE(is_reference(reorder)) << reorder;
}

}  // namespace
}  // namespace dermatome::training

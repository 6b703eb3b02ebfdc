// U-Net34's programs on the host in a GPU's role, compiled and not run: the kernels they consist of, their memory, and
// whether each step finds there what it reads.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "models/builtin.h"
#include "tests/cuda/emulated_device.h"
#include "tests/cuda/memory_check.h"
#include "tools/training/networks.h"

namespace dermatome::training {
namespace {

using harness::conflicts;
using harness::EmulatedDevice;
using harness::kCuda;
using Counts = std::map<std::string, int>;

struct Setting {
  DType type = DType::f32;
  int size = 128;
};

class Unet34OnCuda : public ::testing::TestWithParam<Setting> {
 protected:
  Unet34OnCuda() : store_(kCuda) {
    stage_.size = GetParam().size;
    stage_.clip_norm = 1;
    stage_.ema = 0.9;
    options_.activations = GetParam().type;
    store_.create(states_of(model_, DType::f32), 1);
    store_.create_contiguous(gradient_states(programs()));
  }

  StagePrograms programs() const {
    return {.model = model_, .stage = stage_, .resident = kBatch, .compile = options_, .device = kCuda};
  }
  Program compile(Graph graph) { return {std::move(graph), kCuda, store_, options_}; }

  static Counts operations_of(const Program& program) {
    Counts operations;
    for (const Node& node : program.graph().nodes()) ++operations[node.op->name()];
    return operations;
  }

  // The kernels of what multiplies, counted; all other kernels are our own.
  static Counts products_of(const Program& program) {
    Counts kernels;
    for (const Step& step : program.steps()) {
      if (step.node < 0) {
        EXPECT_TRUE(step.name.starts_with("copy to ")) << step.name;
        continue;
      }
      const std::string& op = program.graph().nodes()[static_cast<std::size_t>(step.node)].op->name();
      const bool multiplies = op.starts_with("conv") || op.starts_with("decoder");
      if (!multiplies) EXPECT_EQ(step.kernel->describe(), "cuda") << op;
      if (multiplies) ++kernels[step.kernel->describe()];
    }
    return kernels;
  }

  // Of a training step, which products run on what: the head and its gradient by our own kernels.
  static void expect_training_products(const Program& program) {
    Counts kernels = products_of(program);
    EXPECT_EQ(kernels["narrow"], 2) << "the head and its gradient";
    EXPECT_GT(kernels["cudnn on the host"], 115) << "forward, data and weight gradients of the rest";
    EXPECT_EQ(kernels.size(), 2u);
  }

  static void expect_planned(const Program& program) {
    EXPECT_GE(program.memory().arena, program.memory().arena_lower_bound);
    EXPECT_LE(static_cast<double>(program.memory().arena),
              1.15 * static_cast<double>(program.memory().arena_lower_bound));
    EXPECT_EQ(conflicts(program), std::vector<std::string>{});
  }

  static constexpr std::int64_t kBatch = 2;

  EmulatedDevice device_;
  Model model_ = find_model("unet34");
  StageSettings stage_;
  CompileOptions options_;
  StateStore store_;
};

TEST_P(Unet34OnCuda, TrainsByCudaKernelsInPlannedMemory) {
  const Program program = compile(accumulate_graph(programs(), kBatch, false));
  Counts operations = operations_of(program);
  EXPECT_EQ(operations["batch_norm_relu"], 33) << "the stem and two in each block";
  EXPECT_EQ(operations["batch_norm_relu_gradient"], 33);
  EXPECT_EQ(operations["conv2d_sums"], GetParam().type == DType::bf16 ? 33 : 0);
  EXPECT_EQ(operations["conv2d_data_gradient_sums"], GetParam().type == DType::bf16 ? 15 : 0)
      << "all blocks but the last";
  EXPECT_EQ(operations["decoder_step"], 5);
  EXPECT_EQ(operations["concat"] + operations["slice"] + operations["conv_transpose2d"], 0);
  expect_training_products(program);
  expect_planned(program);
}

// The later batches of a step that accumulates.
TEST_P(Unet34OnCuda, AddsToGradientsByCudaKernelsInPlannedMemory) {
  const Program program = compile(accumulate_graph(programs(), kBatch, true));
  expect_training_products(program);
  const Program first = compile(accumulate_graph(programs(), kBatch, false));
  EXPECT_GT(operations_of(program)["add"], operations_of(first)["add"] + 100) << "one a parameter";
  expect_planned(program);
}

TEST_P(Unet34OnCuda, ValidatesAndInfersByCudaKernelsInPlannedMemory) {
  for (const bool validates : {true, false}) {
    const auto size = static_cast<std::int64_t>(GetParam().size);
    const Program program =
        compile(validates ? validation_graph(programs(), kBatch) : inference_graph(model_, 1, size, size, DType::f32));
    Counts kernels = products_of(program);
    EXPECT_EQ(kernels["narrow"], 1) << "the head";
    EXPECT_EQ(kernels["cudnn on the host"], 40) << "36 convolutions of the encoder and four steps of the decoder";
    EXPECT_EQ(kernels.size(), 2u);
    expect_planned(program);
  }
}

// Clipping, Adam and averages: as many kernels as there are kinds of work.
TEST_P(Unet34OnCuda, MovesItsWeightsByCudaKernels) {
  store_.create(optimizer_states(programs()), 1);
  store_.create(average_states(programs()), 1);
  const Program program = compile(update_graph(programs()));
  EXPECT_TRUE(products_of(program).empty());
  Counts operations = operations_of(program);
  for (const char* op : {"clip_scale", "adam", "moving_average"}) EXPECT_EQ(operations[op], 1) << op;
  expect_planned(program);
}

// Weight gradients of plain convolutions, and nothing else, are beside the four steps that follow.
TEST_P(Unet34OnCuda, KeepsWhatStepsBesideOthersNeed) {
  const Program one = compile(accumulate_graph(programs(), kBatch, false));
  options_.second_branch = true;
  const Program two = compile(accumulate_graph(programs(), kBatch, false));
  int beside = 0;
  for (std::size_t s = 0; s < two.steps().size(); ++s) {
    const Step& step = two.steps()[s];
    EXPECT_EQ(one.steps()[s].awaited, -1);
    if (step.awaited < 0) continue;
    ++beside;
    EXPECT_EQ(step.awaited, static_cast<int>(s) + 4);
    EXPECT_EQ(two.graph().nodes()[static_cast<std::size_t>(step.node)].op->name(), "conv2d_weight_gradient");
  }
  EXPECT_EQ(beside, 36) << "all convolutions of the encoder";
  expect_planned(two);
  EXPECT_NE(conflicts(one, {.order = {}, .beside = 4}), std::vector<std::string>{})
      << "memory that is planned for one branch does not serve two";
}

// The check finds steps that come too early.
TEST_P(Unet34OnCuda, DoesNotRunInAnotherOrder) {
  const Program program = compile(inference_graph(model_, 1, GetParam().size, GetParam().size, DType::f32));
  std::vector<std::size_t> order(program.steps().size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  EXPECT_TRUE(conflicts(program, {.order = order, .beside = 0}).empty());
  std::swap(order.back(), order[order.size() - 2]);
  EXPECT_FALSE(conflicts(program, {.order = order, .beside = 0}).empty())
      << "the last reads what the one before writes";
}

INSTANTIATE_TEST_SUITE_P(Settings, Unet34OnCuda,
                         ::testing::Values(Setting{DType::f32, 128}, Setting{DType::bf16, 128},
                                           Setting{DType::f32, 256}, Setting{DType::bf16, 256}),
                         [](const auto& setting) {
                           return std::string(name_of(setting.param.type)) + "_" + std::to_string(setting.param.size);
                         });

}  // namespace
}  // namespace dermatome::training

// Whole programs compiled for CUDA: the kernels they consist of, their memory, recording and replaying, and training
// that agrees with the CPU's. On the host in a GPU's role everywhere, and on a GPU where there is one.
#include <gtest/gtest.h>

#include "engine/core/threads.h"
#include "kernels/vendor/cudnn_convolution.h"
#include "models/builtin.h"
#include "tests/cuda/emulated_device.h"
#include "tests/cuda/small_network.h"
#include "tests/training/support.h"
#include "tools/measurement/profile.h"
#include "tools/training/stage_runner.h"

namespace dermatome::training {
namespace {

using harness::EmulatedDevice;
using harness::kCuda;

constexpr int kSize = 32;
constexpr std::int64_t kPhotographs = 4;
constexpr Device kHost{DeviceKind::cpu, 0};

struct Outcome {
  std::vector<double> losses;
  std::array<double, kMetrics> metrics{};  // sums over all epochs
  Snapshot states;
};

struct Setting {
  bool on_device = true;  // the photographs
  bool chained = false;   // a step's programs as one
  int batch = 3;
  int steps_per_launch = 1;  // of chained ones
};

// A few steps of training, the last batch of each epoch smaller, and a validation. The programs of an update are in a
// chain of each batch size.
Outcome train(Device device, const CompileOptions& options, Setting setting = {}) {
  const Model model = Model::parse(harness::kSmallNetwork, "small.graph");
  StageSettings stage;
  stage.size = kSize;
  stage.batch = setting.batch;
  stage.lr = 1e-2;
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> masks;
  for (std::uint64_t i = 0; i < kPhotographs; ++i) {
    const testing::Pair pair = testing::disc_pair(kSize, kSize, i);
    pixels.insert(pixels.end(), pair.photograph.pixels.begin(), pair.photograph.pixels.end());
    masks.insert(masks.end(), pair.mask.pixels.begin(), pair.mask.pixels.end());
  }
  StateStore store(device);
  store.create(states_of(model, DType::f32), 5);
  const auto part = [&] { return PhotographSet(pixels, masks, kSize, device, setting.on_device, stage.batch); };
  StageRunner runner(model, stage, 7, part(), part(), device, options, store, setting.steps_per_launch);
  runner.compile(kPhotographs, kPhotographs);
  Outcome outcome;
  EpochSums sums;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    const std::vector<std::uint32_t> order{0, 2, 1, 3};
    std::vector<StepRequest> requests;
    for (std::size_t begin = 0; begin < order.size(); begin += requests.back().samples.size()) {
      const auto count = std::min(static_cast<std::size_t>(setting.batch), order.size() - begin);
      const double factor = 1 / (1 + 0.25 * static_cast<double>(begin));
      requests.push_back({.samples = std::span(order).subspan(begin, count), .at = {.factor = factor, .beta1 = {}}});
    }
    if (setting.chained) {
      runner.steps(requests, epoch, sums, {}, [&](double loss) { outcome.losses.push_back(loss); });
      continue;
    }
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const auto upcoming = i + 1 < requests.size() ? requests[i + 1].samples : std::span<const std::uint32_t>();
      outcome.losses.push_back(runner.accumulate(requests[i].samples, epoch, sums, upcoming));
      runner.update(requests[i].at);
    }
  }
  outcome.metrics = sums.metrics;
  EpochSums validation;
  std::vector<std::uint32_t> validated{0, 1, 2};
  validated.resize(static_cast<std::size_t>(setting.batch));
  runner.validate(validated, validation);
  outcome.losses.push_back(validation.mean_loss());
  outcome.states = store.snapshot();
  return outcome;
}

void expect_equal_bits(const Outcome& a, const Outcome& b) {
  EXPECT_EQ(a.losses, b.losses);
  EXPECT_EQ(a.metrics, b.metrics);
  ASSERT_EQ(a.states.tensors.size(), b.states.tensors.size());
  for (std::size_t i = 0; i < a.states.tensors.size(); ++i) {
    EXPECT_EQ(std::memcmp(a.states.tensors[i].second.data(), b.states.tensors[i].second.data(),
                          a.states.tensors[i].second.bytes()),
              0)
        << a.states.tensors[i].first;
  }
}

void expect_close(const Outcome& outcome, const Outcome& other, double tolerance) {
  ASSERT_EQ(outcome.losses.size(), other.losses.size());
  for (std::size_t i = 0; i < outcome.losses.size(); ++i) {
    EXPECT_NEAR(outcome.losses[i], other.losses[i], tolerance) << "step " << i;
  }
}

constexpr double kTolerance = 2e-3;  // of the loss, after steps that magnify rounding

class EmulatedProgram : public ::testing::Test {
 protected:
  EmulatedDevice device_;
};

TEST_F(EmulatedProgram, TrainsAsTheCpuDoes) {
  expect_close(train(kCuda, {}), train(kHost, {}), kTolerance);
}

TEST_F(EmulatedProgram, HasTheSameBitsWithPhotographsThatStayOnTheHost) {
  expect_equal_bits(train(kCuda, {}, {.on_device = false}), train(kCuda, {}));
  EXPECT_GT(device_.recordings(), 0);
}

TEST_F(EmulatedProgram, TrainsAlikeWithoutItsFusions) {
  const Outcome fused = train(kCuda, {});
  const Outcome bf16 = train(kCuda, {.activations = DType::bf16});
  for (const char* pass :
       {"fuse_batch_norm_relu", "restructured_decoder", "batch_norm_sums", "batch_norm_gradient_sums"}) {
    expect_close(fused, train(kCuda, {.disabled_passes = {pass}}), 1e-4);
    expect_close(bf16, train(kCuda, {.activations = DType::bf16, .disabled_passes = {pass}}), 2e-2);
  }
}

// The passes of bf16 alone, in f32: what they make has to agree as closely as f32 does.
TEST_F(EmulatedProgram, TrainsAlikeWithSumsThatConvolutionsTook) {
  const CompileOptions sums{.activations = DType::bf16, .disabled_passes = {"bf16_activations"}};
  expect_close(train(kCuda, {}), train(kCuda, sums), 1e-4);
  const Model model = Model::parse(harness::kSmallNetwork, "small.graph");
  measurement::StepBench bench(model, {.mode = "train", .size = kSize, .batch = 2, .device = kCuda, .compile = sums});
  const auto& applied = bench.parts().at(0).program->applied_passes();
  EXPECT_EQ(applied.at("batch_norm_sums"), 2);
  EXPECT_EQ(applied.at("batch_norm_gradient_sums"), 1);
}

TEST_F(EmulatedProgram, TrainsInBf16) {
  const Outcome outcome = train(kCuda, {.activations = DType::bf16});
  expect_close(outcome, train(kHost, {}), 5e-2);
}

// With the formulations that a device may find faster: passes of our own behind plans, weight gradients rounded to
// bf16.
TEST_F(EmulatedProgram, TrainsInBf16ByTheLastCandidates) {
  cudnn::host_candidate = cudnn::kLastCandidate;
  const Outcome outcome = train(kCuda, {.activations = DType::bf16});
  cudnn::host_candidate = 0;
  expect_close(outcome, train(kHost, {}), 5e-2);
}

TEST_F(EmulatedProgram, HasTheSameBitsReplayedAsLaunchedOneByOne) {
  const Outcome replayed = train(kCuda, {});
  const int recordings = device_.recordings();
  EXPECT_GT(recordings, 0);
  const Outcome launched = train(kCuda, {.capture = false});
  EXPECT_EQ(device_.recordings(), recordings) << "nothing is recorded with capture off";
  expect_equal_bits(replayed, launched);
}

// One recording a batch size for weights, forward and backward passes and Adam; validation apart.
TEST_F(EmulatedProgram, HasTheSameBitsWithAStepInOneLaunch) {
  const Outcome apart = train(kCuda, {});
  const int recordings = device_.recordings();
  expect_equal_bits(apart, train(kCuda, {}, {.chained = true}));
  EXPECT_EQ(device_.recordings(), recordings + 2);
  expect_equal_bits(apart, train(kCuda, {}, {.on_device = false, .chained = true}));
  expect_equal_bits(apart, train(kCuda, {.capture = false}, {.chained = true}));
  expect_equal_bits(apart, train(kCuda, {.poison_arena = true}, {.chained = true}));
  expect_equal_bits(apart, train(kCuda, {.second_branch = true}, {.chained = true}));
  const Outcome on_host = train(kHost, {});
  expect_equal_bits(on_host, train(kHost, {}, {.chained = true}));
}

// By Adam as it moves the weights, or of the weights in front of what reads them.
TEST_F(EmulatedProgram, HasTheSameBitsWhoeverMakesTheCopiesOfWeights) {
  for (const DType type : {DType::f32, DType::bf16}) {
    const CompileOptions by_readers{.activations = type, .disabled_passes = {"update_writes_copies"}};
    const Outcome expected = train(kCuda, by_readers);
    expect_equal_bits(expected, train(kCuda, {.activations = type}));
    for (const int steps : {1, 2}) {
      const Setting launches{.chained = true, .batch = 3, .steps_per_launch = steps};
      expect_equal_bits(expected, train(kCuda, by_readers, launches));
      expect_equal_bits(expected, train(kCuda, {.activations = type}, launches));
      expect_equal_bits(expected, train(kCuda, {.activations = type, .capture = false}, launches));
    }
  }
}

// Two steps of an epoch behind one launch, each with photographs, tables and rates of its own.
TEST_F(EmulatedProgram, HasTheSameBitsWithSeveralStepsInOneLaunch) {
  constexpr Setting kTwo{.chained = true, .batch = 2, .steps_per_launch = 2};
  const Outcome apart = train(kCuda, {}, {.batch = 2});
  const int recordings = device_.recordings();
  expect_equal_bits(apart, train(kCuda, {}, kTwo));
  EXPECT_EQ(device_.recordings(), recordings + 1) << "both steps are one recording";
  expect_equal_bits(apart, train(kCuda, {.capture = false}, kTwo));
  expect_equal_bits(apart, train(kCuda, {.second_branch = true}, kTwo));
  expect_equal_bits(apart, train(kCuda, {.poison_arena = true}, kTwo));
  expect_equal_bits(apart, train(kCuda, {}, {.on_device = false, .chained = true, .batch = 2, .steps_per_launch = 2}));
  expect_equal_bits(train(kCuda, {}, {.batch = 3}),
                    train(kCuda, {}, {.chained = true, .batch = 3, .steps_per_launch = 2}));
}

// Work of the second branch at the earliest and at the latest that a device may run it, replayed and launched.
TEST_F(EmulatedProgram, HasTheSameBitsWithWeightGradientsOnASecondBranch) {
  const Outcome one = train(kCuda, {});
  EXPECT_EQ(device_.submitted(), 0);
  for (const bool put_off : {false, true}) {
    device_.put_off_submitted_work(put_off);
    expect_equal_bits(one, train(kCuda, {.second_branch = true}));
    expect_equal_bits(one, train(kCuda, {.capture = false, .second_branch = true}));
    expect_equal_bits(one, train(kCuda, {.poison_arena = true, .second_branch = true}));
  }
  EXPECT_GT(device_.submitted(), 50);
}

// Put off as long as a device may, each step beside the others runs where it is waited for: right in front of the step
// that needs its memory again.
TEST_F(EmulatedProgram, WaitsForTheSecondBranchWhereItsMemoryIsNeededAgain) {
  const Model model = Model::parse(harness::kSmallNetwork, "small.graph");
  measurement::StepBench bench(model, {.mode = "train",
                                       .size = kSize,
                                       .batch = 2,
                                       .device = kCuda,
                                       .compile = {.capture = false, .second_branch = true}});
  const auto& steps = bench.parts().at(0).program->steps();
  std::vector<std::string> expected;
  std::multimap<int, std::string> awaited;
  const auto end_until = [&](int index) {
    for (; !awaited.empty() && awaited.begin()->first <= index; awaited.erase(awaited.begin())) {
      expected.push_back(awaited.begin()->second);
    }
  };
  for (std::size_t s = 0; s < steps.size(); ++s) {
    end_until(static_cast<int>(s));
    if (steps[s].awaited < 0) {
      expected.push_back(steps[s].name);
    } else {
      awaited.emplace(steps[s].awaited, steps[s].name);
    }
  }
  end_until(static_cast<int>(steps.size()) + 4);
  device_.put_off_submitted_work(true);
  Backend& backend = backend_of(DeviceKind::cuda);
  backend.set_collecting(true);
  bench.run();
  backend.set_collecting(false);
  ASSERT_GE(device_.collected().size(), steps.size());
  EXPECT_EQ(std::vector<std::string>(device_.collected().begin(),
                                     device_.collected().begin() + static_cast<std::ptrdiff_t>(steps.size())),
            expected);
  std::vector<std::string> in_order;
  for (const Step& step : steps) in_order.push_back(step.name);
  EXPECT_NE(expected, in_order) << "some are put off";
}

// Programs of two batch sizes, an update and a validation, each recorded once for its steps and once for its weights.
TEST_F(EmulatedProgram, IsRecordedOnceHoweverOftenItRuns) {
  train(kCuda, {});
  EXPECT_LE(device_.recordings(), 8);
}

TEST_F(EmulatedProgram, ShowsAProfilerTheNodesThatAreAskedForAlone) {
  const Model model = Model::parse(harness::kSmallNetwork, "small.graph");
  measurement::StepBench bench(model, {.mode = "train", .size = kSize, .batch = 2, .device = kCuda});
  bench.run();
  EXPECT_TRUE(device_.collected().empty());
  const auto& steps = bench.parts().at(0).program->steps();
  measurement::run_collected(bench, kCuda, 3, 2);  // node 0 is what is prepared
  EXPECT_EQ(device_.collected(), (std::vector<std::string>{steps[2].name, steps[3].name}));
  bench.run();
  EXPECT_EQ(device_.collected().size(), 2u);
}

TEST_F(EmulatedProgram, ProfilesItsMemoryByLifetime) {
  const Model model = Model::parse(harness::kSmallNetwork, "small.graph");
  for (const bool second_branch : {false, true}) {
    measurement::StepBench bench(
        model,
        {.mode = "train", .size = kSize, .batch = 2, .device = kCuda, .compile = {.second_branch = second_branch}});
    const auto memory = measurement::measure_memory(bench);
    EXPECT_EQ(memory.live_bytes(), bench.parts().at(0).program->memory().arena_lower_bound);
    const int nodes = static_cast<int>(bench.parts().at(0).program->steps().size());
    for (const auto& value : memory.values) {
      EXPECT_GE(value.last, memory.node) << value.name;
      EXPECT_LE(value.last, nodes) << value.name;
    }
    const auto kept = [](const auto& value) { return value.kind == "kept"; };
    EXPECT_TRUE(std::any_of(memory.values.begin(), memory.values.end(), kept));
  }
}

TEST_F(EmulatedProgram, NeedsNothingThatItsMemoryHeldBefore) {
  expect_equal_bits(train(kCuda, {}), train(kCuda, {.poison_arena = true}));
  expect_equal_bits(train(kCuda, {}), train(kCuda, {.planner = false}));
}

TEST_F(EmulatedProgram, FallsBackToOwnConvolutionsWithoutCudnn) {
  expect_close(train(kCuda, {.disabled_kernels = {"cudnn"}}), train(kHost, {}), kTolerance);
}

// With frozen batch norm, ReLU joins it where gradients are wanted; where none is, the convolution takes both.
TEST_F(EmulatedProgram, FusesFrozenBatchNorm) {
  const Model model = find_model("unet34");
  StageSettings stage;
  stage.size = 64;
  stage.batch_norm = "frozen";
  const auto operations_of = [&](const std::vector<std::string>& frozen) {
    stage.frozen = frozen;
    StateStore store(kCuda);
    store.create(states_of(model, DType::f32), 1);
    const StagePrograms programs{.model = model, .stage = stage, .resident = 2, .compile = {}, .device = kCuda};
    store.create_contiguous(gradient_states(programs));
    const Program program(accumulate_graph(programs, 2, false), kCuda, store, {});
    std::map<std::string, int> operations;
    for (const Node& node : program.graph().nodes()) ++operations[node.op->name()];
    return operations;
  };
  auto learning = operations_of({});
  EXPECT_EQ(learning["batch_norm_relu"], 33);
  EXPECT_EQ(learning["batch_norm_relu_gradient"], 33);
  EXPECT_EQ(learning["conv2d_fused"], 0);
  auto early = operations_of({"encoder.early"});
  EXPECT_EQ(early["relu"], learning["relu"]);
  EXPECT_GT(early["conv2d_fused"], 10);
  EXPECT_EQ(early["batch_norm_relu"], early["batch_norm_relu_gradient"]);
  EXPECT_LT(early["batch_norm_relu"], learning["batch_norm_relu"]);
}

class GpuProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    if (backend_of(DeviceKind::cuda).device_count() == 0) GTEST_SKIP() << backend_of(DeviceKind::cuda).why_absent();
  }
};

TEST_F(GpuProgram, TrainsAsTheCpuDoes) {
  expect_close(train(kCuda, {}), train(kHost, {}), kTolerance);
}

TEST_F(GpuProgram, TrainsInBf16) {
  expect_close(train(kCuda, {.activations = DType::bf16}), train(kHost, {}), 5e-2);
}

TEST_F(GpuProgram, HasTheSameBitsReplayedAsLaunchedOneByOne) {
  expect_equal_bits(train(kCuda, {.deterministic = true}), train(kCuda, {.deterministic = true, .capture = false}));
}

TEST_F(GpuProgram, HasTheSameBitsWithAStepInOneLaunch) {
  expect_equal_bits(train(kCuda, {.deterministic = true}), train(kCuda, {.deterministic = true}, {.chained = true}));
}

TEST_F(GpuProgram, HasTheSameBitsWithSeveralStepsInOneLaunch) {
  expect_equal_bits(train(kCuda, {.deterministic = true}, {.batch = 2}),
                    train(kCuda, {.deterministic = true}, {.chained = true, .batch = 2, .steps_per_launch = 2}));
}

TEST_F(GpuProgram, HasTheSameBitsWithWeightGradientsOnASecondBranch) {
  expect_equal_bits(train(kCuda, {.deterministic = true}),
                    train(kCuda, {.deterministic = true, .second_branch = true}));
}

TEST_F(GpuProgram, RepeatsItsBitsWithDeterministicEngines) {
  expect_equal_bits(train(kCuda, {.deterministic = true}), train(kCuda, {.deterministic = true}));
}

TEST_F(GpuProgram, NeedsNothingThatItsMemoryHeldBefore) {
  expect_equal_bits(train(kCuda, {.deterministic = true}), train(kCuda, {.poison_arena = true, .deterministic = true}));
}

}  // namespace
}  // namespace dermatome::training

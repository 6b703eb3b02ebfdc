// The training loop on the host in a GPU's role: several steps behind one launch.
#include <gtest/gtest.h>

#include "tests/cuda/emulated_device.h"
#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;
using harness::EmulatedDevice;

class EmulatedTrainer : public TrainingTest {
 protected:
  Recipe recipe() const {
    const StageSettings stage{
        .size = 32, .batch = 1, .epochs = 2, .frozen = {}, .schedule = {}, .lr = 1e-2, .group_lr = {}};
    return {.model = (folder_ / "tiny.graph").string(), .seed = 3, .stages = {stage}};
  }

  TrainingResult start(const std::string& run, const Recipe& recipe, int steps_per_launch,
                       const TrainingObserver& observer = {}, Checkpoint* resume = nullptr,
                       const CompileOptions& compile = {}) const {
    std::filesystem::create_directories(folder_ / run);
    TrainOptions options = this->options(run, recipe);
    options.device = harness::kCuda;
    options.steps_per_launch = steps_per_launch;
    options.resume = resume;
    options.compile = compile;
    return train(options, data_, observer);
  }

  // Of the last checkpoints and of what the logs tell of steps and epochs.
  void expect_same_run(const std::string& a, const std::string& b) const {
    const Checkpoint one = read_checkpoint(folder_ / a / "last.safetensors");
    const Checkpoint other = read_checkpoint(folder_ / b / "last.safetensors");
    ASSERT_EQ(one.states.size(), other.states.size());
    for (std::size_t i = 0; i < one.states.size(); ++i) {
      EXPECT_EQ(bytes_of(one.states[i].second), bytes_of(other.states[i].second)) << one.states[i].first;
    }
    EXPECT_EQ(one.info.position.steps_done, other.info.position.steps_done);
    EXPECT_EQ(text_of(folder_ / a / "steps.csv"), text_of(folder_ / b / "steps.csv"));
    expect_same_epochs(a, b);
  }

  EmulatedDevice device_;
};

// Five steps an epoch: launches of two or three, and what is left one by one.
TEST_F(EmulatedTrainer, HasTheSameBitsAndRowsHoweverManyStepsALaunchHolds) {
  Recipe averaging = recipe();
  averaging.stages[0].ema = 0.9;
  start("one", averaging, 1);
  for (const int steps : {2, 3}) {
    const std::string run = fmt::format("of{}", steps);
    const int recordings = device_.recordings();
    std::vector<std::string> told;
    start(run, averaging, steps, {.message = [&](const std::string& sentence) { told.push_back(sentence); }});
    expect_same_run("one", run);
    EXPECT_EQ(device_.recordings(), recordings + 4) << "a launch of one step, one of several, and a validation's two";
    EXPECT_TRUE(told.empty());
  }
}

// Copies that Adam writes go stale where a stage freezes, averages are validated and a run is resumed.
TEST_F(EmulatedTrainer, HasTheSameBitsWhoeverMakesTheCopiesOfWeights) {
  Recipe averaging = recipe();
  averaging.stages[0].ema = 0.9;
  averaging.stages.push_back(averaging.stages[0]);
  averaging.stages[0].frozen = {"early"};
  for (const DType type : {DType::f32, DType::bf16}) {
    const std::string name(name_of(type));
    const CompileOptions by_readers{.activations = type, .disabled_passes = {"update_writes_copies"}};
    start(name + " readers", averaging, 1, {}, nullptr, by_readers);
    start(name + " adam", averaging, 2, {}, nullptr, {.activations = type});
    expect_same_run(name + " readers", name + " adam");
  }
}

TEST_F(EmulatedTrainer, SaysWhereALaunchHoldsOneStepThoughMoreWereAskedFor) {
  std::vector<std::string> told;
  start("a", recipe(), 8, {.message = [&](const std::string& sentence) { told.push_back(sentence); }});
  EXPECT_EQ(told,
            (std::vector<std::string>{"stage 1: not 8 steps a launch, but one: an epoch has fewer full batches"}));
}

TEST_F(EmulatedTrainer, ReportsBehindEachLaunch) {
  std::vector<std::int64_t> done;
  start("a", recipe(), 2, {.step = [&](const StepResult& step) { done.push_back(step.images_done); }});
  EXPECT_EQ(done, (std::vector<std::int64_t>{2, 4, 5, 2, 4, 5}));
}

// A checkpoint every three steps lies in no launch of two: the third goes alone.
TEST_F(EmulatedTrainer, WritesItsCheckpointsAtTheStepsThatWereAskedFor) {
  Recipe often = recipe();
  often.checkpoint_every = {.steps = 3, .minutes = 0};
  std::vector<std::int64_t> saved;
  std::int64_t last = -1;
  const auto look = [&](const StepResult&) {
    const std::int64_t steps = read_checkpoint(folder_ / "a" / "last.safetensors").info.position.steps_done;
    if (steps != last) saved.push_back(steps);
    last = steps;
  };
  start("a", often, 2, {.step = look});
  EXPECT_EQ(saved, (std::vector<std::int64_t>{0, 3, 5, 8}));
  start("b", often, 1);
  expect_same_run("b", "a");
}

TEST_F(EmulatedTrainer, GoesOnFromAStopWithAnotherNumberOfSteps) {
  start("whole", recipe(), 1);
  int told = 0;
  bool stop = false;
  start("parts", recipe(), 2,
        {.step = [&](const StepResult&) { stop = ++told == 2; }, .stop_requested = [&] { return stop; }});
  Checkpoint checkpoint = read_checkpoint(folder_ / "parts" / "last.safetensors");
  EXPECT_EQ(checkpoint.info.position.steps_done, 4);
  start("parts", recipe(), 3, {}, &checkpoint);
  expect_same_run("whole", "parts");
}

// Another size is other programs: they are recorded anew, as if the stage were the only one.
TEST_F(EmulatedTrainer, RecordsASecondStageAnewAndTrainsItAsTheCpuDoes) {
  Recipe small = recipe();
  small.stages[0].lr = 3e-3;
  Recipe large = small;
  large.stages[0].size = 48;
  Recipe both = small;
  both.stages.push_back(large.stages[0]);
  const auto recordings_of = [&](const std::string& run, const Recipe& recipe) {
    const int before = device_.recordings();
    start(run, recipe, 1);
    return device_.recordings() - before;
  };
  const int of_small = recordings_of("small", small);
  const int of_large = recordings_of("large", large);
  EXPECT_GT(of_small, 0);
  EXPECT_GT(of_large, 0);
  EXPECT_EQ(recordings_of("both", both), of_small + of_large);

  TrainingTest::start("cpu", both);
  const auto cuda = read_epoch_log(folder_ / "both" / "log.csv");
  const auto cpu = read_epoch_log(folder_ / "cpu" / "log.csv");
  ASSERT_EQ(cuda.size(), 4u);
  ASSERT_EQ(cpu.size(), cuda.size());
  for (std::size_t i = 0; i < cuda.size(); ++i) {
    EXPECT_EQ(cuda[i].stage, cpu[i].stage);
    EXPECT_NEAR(cuda[i].train_loss, cpu[i].train_loss, 3e-3) << i;
    // A bias in front of batch norm has no gradient but rounding, which Adam makes steps of; running means follow late.
    EXPECT_NEAR(cuda[i].validation_loss, cpu[i].validation_loss, 3e-2) << i;
  }
}

TEST_F(EmulatedTrainer, NamesTheStepOfALaunchWhoseLossIsNoNumber) {
  Recipe wild = recipe();
  wild.stages[0].lr = 1e30;
  wild.stages[0].schedule.name = "constant";
  std::string one;
  try {
    start("one", wild, 1);
  } catch (const Error& error) {
    one = error.what();
  }
  ASSERT_NE(one.find("not a number any more at step"), std::string::npos) << one;
  expect_error([&] { start("several", wild, 4); }, {one.substr(0, one.find(';'))});
  EXPECT_EQ(text_of(folder_ / "one" / "steps.csv"), text_of(folder_ / "several" / "steps.csv"));
}

}  // namespace
}  // namespace dermatome::training

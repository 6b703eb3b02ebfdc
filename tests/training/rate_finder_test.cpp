// The learning-rate finder: what it tries, and that nothing remembers it; lr = "find" in a run.
#include "tools/training/rate_finder.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/training/support.h"
#include "tools/training/resume.h"

namespace dermatome::training {
namespace {

using namespace testing;
namespace fs = std::filesystem;

constexpr int kSize = 16;

// A stage over six made-up photographs, its optimiser already moving.
class Sweep : public ::testing::Test {
 protected:
  Sweep() {
    set_threads(1);
    stage_.size = kSize;
    stage_.batch = 4;
    store_.create(states_of(model_, DType::f32), 5);
  }

  PhotographSet photographs(int count) const {
    std::vector<std::uint8_t> pixels, masks;
    for (int i = 0; i < count; ++i) {
      const Pair pair = disc_pair(kSize, kSize, static_cast<std::uint64_t>(i));
      pixels.insert(pixels.end(), pair.photograph.pixels.begin(), pair.photograph.pixels.end());
      masks.insert(masks.end(), pair.mask.pixels.begin(), pair.mask.pixels.end());
    }
    return PhotographSet(pixels, masks, kSize, kCpuDevice);
  }

  StageRunner& runner(int validation = 3) {
    runner_ = std::make_unique<StageRunner>(model_, stage_, 5, photographs(6), photographs(validation), kCpuDevice,
                                            CompileOptions{}, store_);
    EpochSums sums;
    const std::vector<std::uint32_t> first{0, 1, 2, 3};
    runner_->accumulate(first, 0, sums);
    runner_->update({.factor = 1, .beta1 = {}});
    return *runner_;
  }

  RateCurve sweep(StageRunner& runner, const RateSweep& sweep,
                  const std::function<void(std::int64_t, std::int64_t)>& progress = {}) {
    return sweep_rates(runner, stage_, store_, {.seed = 5, .first_epoch = 0}, sweep, progress);
  }

  std::map<std::string, std::vector<std::uint8_t>> states() const {
    std::map<std::string, std::vector<std::uint8_t>> result;
    for (const auto& name : store_.names()) result[name] = bytes_of(store_.read(name));
    return result;
  }

  StageSettings stage_;
  Model model_ = two_groups();
  StateStore store_;
  std::unique_ptr<StageRunner> runner_;
};

TEST_F(Sweep, BringsEverythingBackBitForBit) {
  StageRunner& runner = this->runner();
  const auto before = states();
  std::set<std::string> moved;
  for (const bool validation : {false, true}) {
    const auto curve = sweep(runner, {.validation_loss = validation, .steps = 12}, [&](std::int64_t, std::int64_t) {
      for (const auto& [name, bytes] : states()) {
        if (bytes != before.at(name)) moved.insert(name);
      }
    });
    EXPECT_GT(curve.points.size(), 5u);
    EXPECT_EQ(states(), before);
  }
  for (const char* name : {"conv1.weight", "bn1.running_mean", "adam/step", "adam/first_moment/conv1.weight"})
    EXPECT_TRUE(moved.contains(name)) << name << " never moved, so nothing was proven";
}

TEST_F(Sweep, BringsEverythingBackWhenItIsInterrupted) {
  StageRunner& runner = this->runner();
  const auto before = states();
  const auto stop = [](std::int64_t done, std::int64_t) {
    if (done == 3) throw std::runtime_error("stop");
  };
  EXPECT_THROW(sweep(runner, {}, stop), std::runtime_error);
  EXPECT_EQ(states(), before);
}

TEST_F(Sweep, RepeatsToTheSameCurve) {
  StageRunner& runner = this->runner();
  EXPECT_EQ(to_csv(sweep(runner, {.steps = 10})), to_csv(sweep(runner, {.steps = 10})));
}

TEST_F(Sweep, TakesAHundredStepsOrAnEpoch) {
  std::int64_t total = 0;
  const auto note = [&](std::int64_t, std::int64_t steps) { total = steps; };
  sweep(runner(), {.end = 1e-4}, note);
  EXPECT_EQ(total, 100);
  sweep(runner(), {.end = 1e-4, .steps = 7}, note);
  EXPECT_EQ(total, 7);
}

TEST_F(Sweep, OfTheValidationLossSeesTheStepBeforeIt) {
  StageRunner& runner = this->runner();
  const auto training = sweep(runner, {.start = 1e-2, .end = 1, .steps = 6});
  const auto validation = sweep(runner, {.validation_loss = true, .start = 1e-2, .end = 1, .steps = 6});
  ASSERT_EQ(training.points.size(), validation.points.size());
  EXPECT_NE(training.points[0].loss, validation.points[0].loss);
  StageRunner& alone = this->runner(0);
  expect_error([&] { sweep(alone, {.validation_loss = true, .steps = 6}); }, {"there is no validation part"});
}

TEST_F(Sweep, KeepsTheRatiosOfTheGroups) {
  stage_.group_lr = {{"early", 0}};
  StageRunner& runner = this->runner();
  const auto before = states();
  bool late_moved = false;
  sweep(runner, {.start = 1e-3, .end = 1, .steps = 5}, [&](std::int64_t, std::int64_t) {
    EXPECT_EQ(bytes_of(store_.read("conv1.weight")), before.at("conv1.weight"));
    late_moved |= bytes_of(store_.read("conv2.weight")) != before.at("conv2.weight");
  });
  EXPECT_TRUE(late_moved);
}

class FoundRate : public TrainingTest {
 protected:
  Recipe recipe() const {
    StageSettings stage{.size = 32, .batch = 2, .epochs = 1, .lr = 1, .find_lr = true};
    return {.model = (folder_ / "tiny.graph").string(), .seed = 3, .stages = {stage, stage}};
  }

  TrainingResult go_on(const std::string& run, const TrainingObserver& observer) const {
    Checkpoint checkpoint = read_resumable(folder_ / run / "last.safetensors");
    TrainOptions options = this->options(run, recipe_of_run(checkpoint, "last.safetensors"));
    options.resume = &checkpoint;
    return train(options, data_, observer);
  }

  std::map<int, double> found(const std::string& run) const {
    return read_checkpoint(folder_ / run / "last.safetensors").info.found_rates;
  }
};

TEST_F(FoundRate, TrainsAsARunThatWasGivenTheRate) {
  start("found", recipe());
  const auto rates = found("found");
  ASSERT_EQ(rates.size(), 2u);
  Recipe given = recipe();
  for (int stage = 0; stage < 2; ++stage) {
    given.stages[static_cast<std::size_t>(stage)].find_lr = false;
    given.stages[static_cast<std::size_t>(stage)].lr = rates.at(stage);
  }
  start("given", given);
  EXPECT_EQ(text_of(folder_ / "found" / "steps.csv"), text_of(folder_ / "given" / "steps.csv"));
  const auto a = read_checkpoint(folder_ / "found" / "last.safetensors");
  const auto b = read_checkpoint(folder_ / "given" / "last.safetensors");
  for (std::size_t i = 0; i < a.states.size(); ++i)
    EXPECT_EQ(bytes_of(a.states[i].second), bytes_of(b.states[i].second)) << a.states[i].first;
  EXPECT_GT(read_rate_curve(folder_ / "found" / "lr_find_stage1.csv").size(), 20u);
  EXPECT_TRUE(fs::exists(folder_ / "found" / "lr_find_stage2.csv"));
  EXPECT_FALSE(fs::exists(folder_ / "given" / "lr_find_stage1.csv"));
}

// Stopped while a rate is searched for, right behind, and while it is used.
TEST_F(FoundRate, IsSearchedForOnceHoweverOftenTheRunIsStopped) {
  start("whole", recipe());
  int asked = 0, asked_first = 0;
  start("count", recipe(),
        {.step = [&](const StepResult&) { asked_first = asked_first == 0 ? asked : asked_first; },
         .stop_requested = [&] { return ++asked < 0; }});
  for (const int stop : {asked_first - 60, asked_first - 1, asked_first, asked_first + 1, asked - 3}) {
    int seen = 0;
    start("r", recipe(), {.stop_requested = [&] { return ++seen == stop; }});
    const auto known = found("r");
    std::set<int> searched;
    go_on("r", {.message = [&](const std::string& text) {
            for (const int stage : {1, 2}) {
              if (text.starts_with(fmt::format("stage {}: ", stage))) searched.insert(stage - 1);
            }
          }});
    for (const auto& [stage, rate] : known) EXPECT_FALSE(searched.contains(stage)) << stop;
    EXPECT_EQ(known.size() + searched.size(), 2u) << stop;
    for (const char* file : {"last.safetensors", "best.safetensors", "steps.csv", "lr_find_stage1.csv"})
      EXPECT_EQ(text_of(folder_ / "whole" / file), text_of(folder_ / "r" / file)) << file << ' ' << stop;
    fs::remove_all(folder_ / "r");
  }
}

TEST_F(FoundRate, WithoutASuggestionAStageTakesAQuarterOfTheRateBefore) {
  Recipe still = recipe();
  still.stages[0].find_lr = false;
  still.stages[0].lr = 0.02;
  still.stages[1].lr_scale = {{"*", 0}};
  std::vector<std::string> told;
  start("r", still, {.message = [&](const std::string& text) { told.push_back(text); }});
  ASSERT_EQ(found("r").size(), 1u);
  EXPECT_EQ(found("r").at(1), 0.005);
  EXPECT_NE(told.back().find("stage 2: the learning-rate finder has no suggestion"), std::string::npos) << told.back();
  still.stages = {still.stages[1]};
  expect_error([&] { start("s", still); }, {"stage 1", "no suggestion", "give lr a number"});
}

TEST_F(FoundRate, IsSweptForAsTheStageSays) {
  Recipe recipe = this->recipe();
  StageSettings& second = recipe.stages[1];
  recipe.stages[0].find_lr = false;
  recipe.stages[0].lr = 0.02;
  second.find = {.linear = true, .end = 0.12, .steps = 12};
  start("training", recipe);
  second.find.validation_loss = true;
  start("validation", recipe);
  const auto training = read_rate_curve(folder_ / "training" / "lr_find_stage2.csv");
  const auto validation = read_rate_curve(folder_ / "validation" / "lr_find_stage2.csv");
  EXPECT_FALSE(fs::exists(folder_ / "training" / "lr_find_stage1.csv"));
  ASSERT_EQ(training.size(), 12u);
  ASSERT_EQ(validation.size(), 12u);
  for (std::size_t i = 0; i < 12; ++i) EXPECT_NEAR(training[i].rate, 0.01 * static_cast<double>(i), 1e-9);
  EXPECT_NE(training[0].loss, validation[0].loss);
}

TEST_F(FoundRate, ByAValidationLossNeedsAValidationPartBeforeAnyStageTrains) {
  Recipe recipe = this->recipe();
  recipe.stages[1].find.validation_loss = true;
  data_.validation.clear();
  expect_error([&] { start("v", recipe); }, {"there is no validation part whose loss the learning-rate finder"});
  EXPECT_TRUE(fs::is_empty(folder_ / "v"));
  recipe.stages[1].find_lr = false;
  EXPECT_NO_THROW(start("g", recipe));
}

TEST_F(FoundRate, AnExponentialSweepRises) {
  Recipe recipe = this->recipe();
  recipe.stages[1].find = {.start = 0.5, .end = 0.1};
  expect_error([&] { check_model(recipe, two_groups()); }, {"find_start = 0.5 must be below find_end = 0.1"});
  recipe.stages[1].find.linear = true;
  EXPECT_NO_THROW(check_model(recipe, two_groups()));
  recipe.stages[1].find.linear = false;
  recipe.stages[1].find_lr = false;
  EXPECT_NO_THROW(check_model(recipe, two_groups()));
}

TEST_F(FoundRate, AStageThatHasFoundItsRateKeepsItsSweep) {
  Recipe wanted = recipe();
  wanted.stages[0].find.steps = 7;
  for (const std::int64_t step : {0, 1}) {
    const Position position{.stage = 0, .epoch = 0, .step = step, .steps_done = step};
    expect_error(
        [&] {
          continued(recipe(), wanted, position, {{0, 0.1}});
        },
        {"stage 1 has found its rate and keeps its find_steps (0)", "find_steps = 7"});
    Recipe later = recipe();
    later.stages[1].find.linear = true;
    EXPECT_TRUE(continued(recipe(), later, position, {{0, 0.1}}).stages[1].find.linear);
  }
  EXPECT_EQ(continued(recipe(), wanted, {}).stages[0].find.steps, 7) << "nothing was found yet";
  wanted.stages[0].find_lr = false;
  wanted.stages[0].lr = 0.5;
  const Position begun{.stage = 0, .epoch = 0, .step = 1, .steps_done = 1};
  EXPECT_EQ(continued(recipe(), wanted, begun, {{0, 0.1}}).stages[0].lr, 0.5);
}

TEST_F(FoundRate, AStageThatHasBegunWithAGivenRateCannotLookForOne) {
  Recipe given = recipe();
  for (auto& stage : given.stages) stage.find_lr = false;
  const Position begun{.stage = 0, .epoch = 0, .step = 1, .steps_done = 1};
  expect_error([&] { continued(given, recipe(), begun); }, {"stage 1 has begun with lr = 1.0", "give lr a number"});
  EXPECT_TRUE(continued(given, recipe(), {}).stages[0].find_lr);
}

}  // namespace
}  // namespace dermatome::training

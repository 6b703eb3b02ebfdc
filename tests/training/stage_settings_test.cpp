// What stages hand on and how they move: kept moments, clipped gradients, averaged weights.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/training/support.h"
#include "tools/training/averaged_weights.h"
#include "tools/training/stage_runner.h"

namespace dermatome::training {
namespace {

using namespace testing;

const Tensor& state(const Checkpoint& checkpoint, const std::string& name) {
  for (const auto& [known, tensor] : checkpoint.states) {
    if (known == name) return tensor;
  }
  fail("no state {}", name);
}

class StageSettingsOfARun : public TrainingTest {
 protected:
  StageSettings stage() const {
    return {.size = 32, .batch = 2, .epochs = 1, .schedule = {.name = "constant"}, .lr = 1e-2};
  }
  Checkpoint train_stages(const std::string& run, const std::vector<StageSettings>& stages) const {
    start(run, {.model = (folder_ / "tiny.graph").string(), .seed = 3, .stages = stages});
    return read_checkpoint(folder_ / run / "last.safetensors");
  }
  void expect_same_weights(const Checkpoint& a, const Checkpoint& b) const {
    for (const auto& declaration : states_of(two_groups(), DType::f32))
      EXPECT_EQ(bytes_of(state(a, declaration.name)), bytes_of(state(b, declaration.name))) << declaration.name;
  }
};

TEST_F(StageSettingsOfARun, TwoStagesThatKeepTheMomentsAreOneLongOne) {
  StageSettings whole = stage();
  whole.epochs = 2;
  StageSettings second = stage();
  second.optimizer_state = "kept";
  const auto a = train_stages("whole", {whole});
  const auto b = train_stages("kept", {stage(), second});
  expect_same_weights(a, b);
  EXPECT_EQ(bytes_of(state(a, first_moment_state("conv1.weight"))),
            bytes_of(state(b, first_moment_state("conv1.weight"))));
  const auto fresh = train_stages("fresh", {stage(), stage()});
  EXPECT_NE(bytes_of(state(fresh, "conv1.weight")), bytes_of(state(a, "conv1.weight")));
}

TEST_F(StageSettingsOfARun, AGroupThatBeginsToLearnLaterCountsItsOwnSteps) {
  StageSettings first = stage();
  first.frozen = {"early"};
  StageSettings second = stage();
  second.optimizer_state = "kept";
  const auto steps = [&](const Checkpoint& checkpoint) {
    const auto values = state(checkpoint, kStepState).as<float>();
    return std::vector<float>(values.begin(), values.end());
  };
  EXPECT_EQ(steps(train_stages("a", {first, second})), (std::vector<float>{3, 6}));
  second.optimizer_state = "fresh";
  EXPECT_EQ(steps(train_stages("b", {first, second})), (std::vector<float>{3, 3}));
  StageSettings third = first;
  third.optimizer_state = "kept";
  EXPECT_EQ(steps(train_stages("c", {stage(), third})), (std::vector<float>{3, 6}));
}

TEST_F(StageSettingsOfARun, ABoundThatNoGradientReachesChangesNoBit) {
  StageSettings bounded = stage();
  bounded.clip_norm = 1e6;
  const auto free = train_stages("free", {stage()});
  expect_same_weights(free, train_stages("bounded", {bounded}));
  bounded.clip_norm = 1e-3;
  EXPECT_NE(bytes_of(state(free, "conv1.weight")), bytes_of(state(train_stages("tight", {bounded}), "conv1.weight")));
}

TEST_F(StageSettingsOfARun, AveragesAreValidatedAndSavedButDoNotTouchTheTraining) {
  StageSettings averaged = stage();
  averaged.epochs = 2;
  StageSettings plain = averaged;
  averaged.ema = 0.9;
  const auto a = train_stages("averaged", {averaged});
  const auto b = train_stages("plain", {plain});
  expect_same_weights(a, b);
  const auto log_a = read_epoch_log(folder_ / "averaged" / "log.csv");
  const auto log_b = read_epoch_log(folder_ / "plain" / "log.csv");
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(log_a[i].train_loss, log_b[i].train_loss);
    EXPECT_NE(log_a[i].validation_loss, log_b[i].validation_loss);
  }
  data_.validation.clear();  // the last epoch is then the best
  const auto last = train_stages("v", {averaged});
  const auto best = read_checkpoint(folder_ / "v" / "best.safetensors");
  for (const auto& declaration : states_of(two_groups(), DType::f32)) {
    EXPECT_EQ(bytes_of(state(best, declaration.name)), bytes_of(state(last, average_state(declaration.name))));
  }
  EXPECT_NE(bytes_of(state(best, "conv1.weight")), bytes_of(state(last, "conv1.weight")));
  EXPECT_EQ(best.states.size(), states_of(two_groups(), DType::f32).size());
}

TEST_F(StageSettingsOfARun, TheNextStageGoesOnFromTheAverages) {
  StageSettings averaged = stage();
  averaged.ema = 0.9;
  const auto first = train_stages("first", {averaged});
  StageSettings still = stage();
  still.lr = 0;
  const auto both = train_stages("both", {averaged, still});
  EXPECT_EQ(bytes_of(state(both, "conv1.weight")), bytes_of(state(first, average_state("conv1.weight"))));
  for (const auto& [name, tensor] : both.states) EXPECT_FALSE(name.starts_with(kAverages)) << name;
}

// A runner of one stage on four photographs, after the gradients of one step.
class OneUpdate {
 public:
  explicit OneUpdate(StageSettings stage) : stage_(std::move(stage)) {
    set_threads(1);
    stage_.size = 16;
    store_.create(states_of(model_, DType::f32), 5);
    std::vector<std::uint8_t> pixels, masks;
    for (std::uint64_t i = 0; i < 4; ++i) {
      const Pair pair = disc_pair(16, 16, i);
      pixels.insert(pixels.end(), pair.photograph.pixels.begin(), pair.photograph.pixels.end());
      masks.insert(masks.end(), pair.mask.pixels.begin(), pair.mask.pixels.end());
    }
    runner_ = std::make_unique<StageRunner>(model_, stage_, 5, PhotographSet(pixels, masks, 16, kCpuDevice),
                                            PhotographSet(), kCpuDevice, CompileOptions{}, store_);
    EpochSums sums;
    const std::vector<std::uint32_t> all{0, 1, 2, 3};
    runner_->accumulate(all, 0, sums);
  }

  double norm_of(const char* prefix) const {
    double sum = 0;
    for (const auto& name : store_.names()) {
      if (!name.starts_with(prefix)) continue;
      const Tensor tensor = store_.read(name);
      for (const float value : tensor.as<float>()) sum += static_cast<double>(value) * static_cast<double>(value);
    }
    return std::sqrt(sum);
  }

  StageSettings stage_;
  Model model_ = two_groups();
  StateStore store_;
  std::unique_ptr<StageRunner> runner_;
};

TEST(ClippedUpdate, SeesGradientsOfTheGivenNorm) {
  OneUpdate update({.weight_decay = 0, .clip_norm = 0.01});
  const double before = update.norm_of("gradient/");
  ASSERT_GT(before, 0.02);
  update.runner_->update({.factor = 1, .beta1 = 0.9});
  EXPECT_NEAR(update.norm_of("adam/first_moment/"), 0.1 * 0.01, 1e-7);
  OneUpdate wide({.weight_decay = 0, .clip_norm = 2 * before});
  wide.runner_->update({.factor = 1, .beta1 = 0.9});
  EXPECT_NEAR(wide.norm_of("adam/first_moment/"), 0.1 * before, 1e-6 * before);
}

TEST(AveragedUpdate, MovesTheAverageTowardsTheNewWeights) {
  OneUpdate update({.lr = 1e-2, .ema = 0.5});
  const auto value = [&](const std::string& name) {
    return static_cast<double>(update.store_.read(name).as<float>()[3]);
  };
  const double old = value("conv1.weight");
  EXPECT_EQ(value(average_state("conv1.weight")), old);
  update.runner_->update({.factor = 1, .beta1 = {}}, 0);
  const double moved = value("conv1.weight");
  ASSERT_NE(moved, old);
  EXPECT_NEAR(value(average_state("conv1.weight")), old + 0.9 * (moved - old), 1e-7) << "a young average forgets";
  update.runner_->update({.factor = 1, .beta1 = {}}, 1000);
  const double later = old + 0.9 * (moved - old);
  EXPECT_NEAR(value(average_state("conv1.weight")), later + 0.5 * (value("conv1.weight") - later), 1e-7);
  const double mean = value("bn1.running_mean");
  EXPECT_NE(value(average_state("bn1.running_mean")), 0);
  EXPECT_NE(value(average_state("bn1.running_mean")), mean);
}

TEST(AveragedWeights, ComeAndGoBitForBit) {
  OneUpdate update({.lr = 1e-2, .ema = 0.5});
  update.runner_->update({.factor = 1, .beta1 = {}}, 0);
  const auto weight = bytes_of(update.store_.read("conv1.weight"));
  const auto average = bytes_of(update.store_.read(average_state("conv1.weight")));
  ASSERT_NE(weight, average);
  {
    const AveragedWeights averaged(update.store_);
    EXPECT_EQ(bytes_of(update.store_.read("conv1.weight")), average);
  }
  EXPECT_EQ(bytes_of(update.store_.read("conv1.weight")), weight);
}

}  // namespace
}  // namespace dermatome::training

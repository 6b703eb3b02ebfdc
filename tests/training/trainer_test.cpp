// The training loop: repeatable, whole epochs, and sentences for what goes wrong.
#include "tools/training/trainer.h"

#include <gtest/gtest.h>

#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;
namespace fs = std::filesystem;

class TrainerTest : public TrainingTest {
 protected:
  Recipe recipe(int epochs = 2) const {
    StageSettings stage{
        .size = 32, .batch = 2, .epochs = epochs, .frozen = {}, .schedule = {}, .lr = 1e-2, .group_lr = {}};
    return {.model = (folder_ / "tiny.graph").string(), .seed = 3, .stages = {stage}};
  }

  Checkpoint checkpoint(const std::string& run, const char* which = "last.safetensors") const {
    return read_checkpoint(folder_ / run / which);
  }
};

void expect_same_bits(const Checkpoint& a, const Checkpoint& b) {
  ASSERT_EQ(a.states.size(), b.states.size());
  for (std::size_t i = 0; i < a.states.size(); ++i) {
    EXPECT_EQ(a.states[i].first, b.states[i].first);
    EXPECT_EQ(bytes_of(a.states[i].second), bytes_of(b.states[i].second)) << a.states[i].first;
  }
}

TEST_F(TrainerTest, SameSeedGivesTheSameBitsAndRows) {
  const auto a = start("a", recipe());
  const auto b = start("b", recipe());
  expect_same_bits(checkpoint("a"), checkpoint("b"));
  expect_same_bits(checkpoint("a", "best.safetensors"), checkpoint("b", "best.safetensors"));
  EXPECT_EQ(text_of(folder_ / "a" / "steps.csv"), text_of(folder_ / "b" / "steps.csv"));
  ASSERT_EQ(a.epochs.size(), 2u);
  ASSERT_EQ(b.epochs.size(), 2u);
  expect_same_epochs("a", "b");
  const auto rows = read_epoch_log(folder_ / "a" / "log.csv");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].epoch, 2);
  EXPECT_GT(rows[1].train_loss, 0);
}

TEST_F(TrainerTest, AnotherSeedGivesOtherWeights) {
  start("a", recipe());
  Recipe other = recipe();
  other.seed = 4;
  start("b", other);
  const Checkpoint a = checkpoint("a");
  const Checkpoint b = checkpoint("b");
  EXPECT_EQ(a.states[0].first, b.states[0].first);
  EXPECT_NE(bytes_of(a.states[0].second), bytes_of(b.states[0].second));
}

TEST_F(TrainerTest, TheLastShortBatchIsKept) {
  std::vector<std::int64_t> done;
  start("a", recipe(1), {.step = [&](const StepResult& step) { done.push_back(step.images_done); }});
  EXPECT_EQ(done, (std::vector<std::int64_t>{2, 4, 5}));
  EXPECT_EQ(read_step_log(folder_ / "a" / "steps.csv").size(), 3u);
  Recipe accumulating = recipe(1);
  accumulating.stages[0].accumulate = 2;
  done.clear();
  start("b", accumulating, {.step = [&](const StepResult& step) { done.push_back(step.images_done); }});
  EXPECT_EQ(done, (std::vector<std::int64_t>{4, 5}));
}

TEST_F(TrainerTest, LearnsTheDarkDiscs) {
  Recipe longer = recipe(25);
  longer.stages[0].augmentation = data::AugmentationSettings::none();
  const auto result = start("a", longer);
  EXPECT_LT(result.epochs.back().train_loss, 0.6 * result.epochs.front().train_loss);
  EXPECT_GT(result.epochs.back().train_jaccard, result.epochs.front().train_jaccard);
}

TEST_F(TrainerTest, StepsFollowTheScheduleOfTheStage) {
  Recipe two = recipe(2);
  two.stages.push_back(two.stages[0]);
  two.stages[1].epochs = 1;
  two.stages[1].size = 16;
  two.stages[1].schedule.name = "constant";
  start("a", two);
  const auto rows = read_step_log(folder_ / "a" / "steps.csv");
  ASSERT_EQ(rows.size(), 9u);
  for (std::size_t i = 0; i < 9; ++i) {
    const double factor = i < 6 ? schedule_factor(two.stages[0].schedule, static_cast<std::int64_t>(i), 6) : 1;
    EXPECT_NEAR(rows[i].learning_rate, 1e-2 * factor, 1e-9) << i;
    EXPECT_EQ(rows[i].step, static_cast<double>(i));
    EXPECT_EQ(rows[i].epoch, static_cast<int>(i) / 3 + 1);
  }
  const Checkpoint last = checkpoint("a");
  EXPECT_EQ(last.info.preprocessing.size, 16);
  EXPECT_EQ(last.info.position.epochs_done, 3);
  // The optimiser starts afresh in each stage.
  const auto step =
      std::find_if(last.states.begin(), last.states.end(), [](const auto& s) { return s.first == kStepState; });
  ASSERT_NE(step, last.states.end());
  EXPECT_EQ(step->second.as<float>()[0], 3);
}

TEST_F(TrainerTest, TheSchedulesMomentumIsAdamsBeta1) {
  const auto weights = [&](const std::string& run, const ScheduleSettings& schedule, double beta1) {
    Recipe moved = recipe(1);
    moved.stages[0].schedule = schedule;
    moved.stages[0].beta1 = beta1;
    start(run, moved);
    return bytes_of(checkpoint(run).states[0].second);
  };
  const ScheduleSettings still{.name = "use_clr_beta", .momentum_high = 0.9, .momentum_low = 0.9};
  const auto a = weights("a", still, 0.9);
  EXPECT_EQ(weights("b", still, 0.1), a) << "the schedule's, not the stage's";
  EXPECT_NE(weights("c", {.name = "use_clr_beta"}, 0.9), a);
  EXPECT_NE(weights("d", {.name = "use_clr"}, 0.9), weights("e", {.name = "use_clr"}, 0.1));
}

TEST_F(TrainerTest, TheWayOfPreparingIsInTheCheckpointAndMakesOtherWeights) {
  start("a", recipe(1));
  Recipe padded = recipe(1), balanced = recipe(1), nearest = recipe(1);
  padded.resize = data::Resize::pad;
  balanced.colour_constancy = data::ColourConstancy::gray_world;
  nearest.mask_resize = data::MaskResize::nearest;
  start("padded", padded);
  start("balanced", balanced);
  start("nearest", nearest);
  const auto weights = bytes_of(checkpoint("a").states[0].second);
  for (const char* other : {"padded", "balanced", "nearest"})
    EXPECT_NE(bytes_of(checkpoint(other).states[0].second), weights) << other;
  EXPECT_EQ(checkpoint("padded").info.preprocessing.resize, data::Resize::pad);
  EXPECT_EQ(checkpoint("balanced", "best.safetensors").info.preprocessing.colours, data::ColourConstancy::gray_world);
}

// The first epoch whose score is the highest, whichever score that is.
TEST_F(TrainerTest, TheBestEpochIsThatOfTheScoreThatTheRecipeNames) {
  for (const BestBy score : {BestBy::jaccard, BestBy::thresholded_jaccard, BestBy::dice}) {
    const std::string name = name_of(score);
    Recipe by = recipe(6);
    by.best_by = score;
    const auto result = start(name, by);
    const auto of = [&](const EpochResult& epoch) {
      return score == BestBy::jaccard ? epoch.validation_jaccard
             : score == BestBy::dice  ? epoch.validation_dice
                                      : epoch.validation_thresholded_jaccard;
    };
    const auto best = std::max_element(result.epochs.begin(), result.epochs.end(),
                                       [&](const auto& a, const auto& b) { return of(a) < of(b); });
    EXPECT_EQ(result.position.best_epoch, best->epoch) << name;
    EXPECT_EQ(result.position.best_score, of(*best)) << name;
    EXPECT_EQ(result.position.best_jaccard, best->validation_jaccard) << name;
    EXPECT_EQ(checkpoint(name, "best.safetensors").info.position.best_score, of(*best)) << name;
  }
}

TEST_F(TrainerTest, WithoutValidationTheLastEpochIsTheBest) {
  data_.validation.clear();
  const auto result = start("a", recipe());
  EXPECT_TRUE(result.epochs[0].best && result.epochs[1].best);
  const Checkpoint best = checkpoint("a", "best.safetensors");
  const Checkpoint last = checkpoint("a");
  for (const auto& [name, tensor] : best.states) {
    const auto same =
        std::find_if(last.states.begin(), last.states.end(), [&](const auto& s) { return s.first == name; });
    ASSERT_NE(same, last.states.end());
    EXPECT_EQ(bytes_of(tensor), bytes_of(same->second)) << name;
  }
}

TEST_F(TrainerTest, StopsWhenAskedAndLeavesACheckpoint) {
  int steps = 0;
  const auto result =
      start("a", recipe(), {.step = [&](const StepResult&) { ++steps; }, .stop_requested = [&] { return steps == 2; }});
  EXPECT_TRUE(result.saved);
  EXPECT_TRUE(result.stopped);
  EXPECT_EQ(steps, 2);
  EXPECT_EQ(checkpoint("a").info.position.step, 2);
}

TEST_F(TrainerTest, ALossThatIsNoNumberEndsTheRunNamingStepAndRate) {
  Recipe wild = recipe(5);
  wild.stages[0].lr = 1e30;
  wild.stages[0].schedule.name = "constant";
  expect_error([&] { start("a", wild); }, {"not a number any more at step ", "learning rate 1e+30"});
}

TEST_F(TrainerTest, AModelThatDoesNotFitNamesTheBatchThatWould) {
  const auto text = [](std::int64_t width) {
    return fmt::format(
        "model wide(image: 3 channels) {{\n  conv = conv2d(image, {}, kernel=1)\n  out = conv2d(relu(conv), 1, "
        "kernel=1)\n"
        "  return out\n}}\n",
        width);
  };
  StageSettings stage{.size = 1024, .batch = 4, .epochs = 1, .frozen = {}, .schedule = {}, .group_lr = {}};
  // Memory rises with the width, and training takes twice as much as inference: one photograph at a time fits, while
  // it is validated too.
  constexpr std::int64_t kProbe = 32768;
  std::int64_t width = 0;
  const Model probe = Model::parse(text(kProbe), "wide.graph");
  StateStore store;
  store.create(states_of(probe, DType::f32), 1);
  try {
    const Program program(inference_graph(probe, 4, 1024, 1024, DType::f32), kCpuDevice, store);
    GTEST_SKIP() << "half a terabyte of memory";
  } catch (const OutOfMemory& error) {
    width = static_cast<std::int64_t>(static_cast<double>(kProbe) * 0.9 * static_cast<double>(error.available) /
                                      static_cast<double>(error.needed));
  }
  folder_.add("wide.graph", text(width));
  const Recipe wide{.model = (folder_ / "wide.graph").string(), .seed = 1, .stages = {stage}};
  expect_error([&] { start("a", wide); }, {"1024 px with batch 4", "MiB", "batch=", " would fit"});
  // Also where an earlier stage would fit, and before that one takes a step.
  Recipe later = wide;
  later.stages.insert(later.stages.begin(), recipe(1).stages[0]);
  bool ready = false;
  expect_error([&] { start("b", later, {.ready = [&] { ready = true; }}); },
               {"stage 2, 1024 px with batch 4", "MiB", "batch=", " would fit"});
  EXPECT_FALSE(ready);
  EXPECT_FALSE(fs::exists(folder_ / "b" / "last.safetensors"));
}

// 27 TB of them. Not one is read.
TEST_F(TrainerTest, PhotographsThatDoNotFitAreRefusedBeforeTheyAreRead) {
  Recipe large = recipe(1);
  large.stages[0].size = 8192;
  large.stages[0].batch = 1;
  data_.train.resize(100000, {.id = "x", .image = folder_ / "nowhere.jpg", .mask = folder_ / "nowhere.png"});
  expect_error([&] { start("a", large); },
               {"8192 px with batch 1", "MiB", "not even batch=1 fits, take a smaller size"});
}

TEST_F(TrainerTest, AModelOfOneChannelIsRefused) {
  folder_.add("grey.graph",
              std::string_view("model grey(image: 1 channels) {\n  c = conv2d(image, 1, kernel=1)\n  return c\n}\n"));
  Recipe grey = recipe();
  grey.model = (folder_ / "grey.graph").string();
  expect_error([&] { start("a", grey); }, {"grey takes 1 channels, photographs have 3"});
}

}  // namespace
}  // namespace dermatome::training

// Going on with a run: the same bits from every instant, and what may change in between.
#include "tools/training/resume.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "models/safetensors.h"
#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;
namespace fs = std::filesystem;

class Resume : public TrainingTest {
 protected:
  // Two stages: accumulated batches with a short last one, then another size with a frozen group and moving momentum;
  // gradients are clipped, weights averaged, moments kept.
  Recipe recipe() const {
    StageSettings first{.size = 32, .batch = 1, .accumulate = 2, .epochs = 2, .lr = 1e-2, .clip_norm = 0.5, .ema = 0.9};
    StageSettings second{.size = 16,
                         .batch = 2,
                         .epochs = 2,
                         .frozen = {"early"},
                         .schedule = {.name = "one_cycle"},
                         .lr = 1e-2,
                         .optimizer_state = "kept",
                         .ema = 0.5};
    return {.model = (folder_ / "tiny.graph").string(),
            .seed = 3,
            .checkpoint_every = {.steps = 0, .minutes = 0},
            .stages = {first, second}};
  }

  TrainingResult go_on(const std::string& run, const TrainingObserver& observer = {}) const {
    const Checkpoint checkpoint = read_resumable(folder_ / run / "last.safetensors");
    return go_on(run, recipe_of_run(checkpoint, "last.safetensors"), observer);
  }

  TrainingResult go_on(const std::string& run, const Recipe& recipe, const TrainingObserver& observer = {}) const {
    Checkpoint checkpoint = read_resumable(folder_ / run / "last.safetensors");
    TrainOptions options = this->options(run, recipe);
    options.resume = &checkpoint;
    return train(options, data_, observer);
  }

  void expect_same_run(const std::string& a, const std::string& b) const {
    for (const char* file : {"last.safetensors", "best.safetensors", "steps.csv"}) {
      EXPECT_EQ(text_of(folder_ / a / file), text_of(folder_ / b / file)) << file;
    }
    expect_same_epochs(a, b);
  }
};

// Wherever training asks whether to stop: between photographs, behind steps, behind batches of the validation.
TEST_F(Resume, GivesTheSameBitsFromEveryInstantThatItWasStoppedAt) {
  start("whole", recipe());
  int asked = 0;
  start("count", recipe(), {.stop_requested = [&] { return ++asked < 0; }});
  ASSERT_GT(asked, 30);
  for (int stop = 1; stop <= asked; ++stop) {
    const std::string run = fmt::format("r{}", stop);
    int seen = 0;
    const auto stopped = start(run, recipe(), {.stop_requested = [&] { return ++seen == stop; }});
    ASSERT_TRUE(stopped.stopped) << stop;
    if (!stopped.saved) {
      EXPECT_TRUE(fs::is_empty(folder_ / run)) << stop;
      continue;
    }
    EXPECT_FALSE(go_on(run).stopped);
    expect_same_run("whole", run);
    ASSERT_FALSE(::testing::Test::HasFailure()) << "stopped at question " << stop;
    fs::remove_all(folder_ / run);
  }
}

TEST_F(Resume, GivesTheSameBitsWhenStoppedAgainAndAgain) {
  start("whole", recipe());
  const auto behind_one_step = [] {
    auto steps = std::make_shared<int>(0);
    return TrainingObserver{.step = [steps](const StepResult&) { ++*steps; },
                            .stop_requested = [steps] { return *steps > 0; }};
  };
  bool stopped = start("r", recipe(), behind_one_step()).stopped;
  int times = 0;
  for (; stopped; ++times) stopped = go_on("r", behind_one_step()).stopped;
  EXPECT_GT(times, 8);
  expect_same_run("whole", "r");
}

// A copy of the files as they are at each checkpoint stands for a kill behind it; later rows are left in the logs.
TEST_F(Resume, CutsTheLogsBackToTheCheckpoint) {
  Recipe every = recipe();
  every.checkpoint_every = {.steps = 1, .minutes = 0};
  start("whole", every);
  int steps = 0;
  start("r", every, {.step = [&](const StepResult&) {
          if (++steps == 2) fs::copy(folder_ / "r" / "last.safetensors", folder_ / "r" / "kept");
        }});
  fs::rename(folder_ / "r" / "kept", folder_ / "r" / "last.safetensors");
  EXPECT_GT(read_step_log(folder_ / "r" / "steps.csv").size(), 5u);
  go_on("r");
  expect_same_run("whole", "r");
}

TEST_F(Resume, RepairsABestCheckpointThatAKillLeftOld) {
  data_.validation.clear();  // every epoch is then the best
  start("v", recipe());
  const std::string best = text_of(folder_ / "v" / "best.safetensors");
  folder_.add("v/best.safetensors", std::string_view("half a file"));
  go_on("v");
  EXPECT_EQ(text_of(folder_ / "v" / "best.safetensors"), best);
  fs::remove(folder_ / "v" / "best.safetensors");
  go_on("v");
  EXPECT_EQ(text_of(folder_ / "v" / "best.safetensors"), best);
}

TEST_F(Resume, SaysWhichRowsOfALogAreMissing) {
  int steps = 0;
  start("r", recipe(), {.step = [&](const StepResult&) { ++steps; }, .stop_requested = [&] { return steps == 4; }});
  folder_.add("r/steps.csv", std::string_view("step,epoch,lr,loss\n0,1,0.1,0.1\n"));
  fs::remove(folder_ / "r" / "log.csv");
  std::vector<std::string> told;
  go_on("r", {.message = [&](const std::string& text) { told.push_back(text); }});
  ASSERT_EQ(told.size(), 2u);
  EXPECT_NE(told[0].find("log.csv holds 0 of the 1 epochs"), std::string::npos) << told[0];
  EXPECT_NE(told[1].find("steps.csv holds 1 of the 4 steps"), std::string::npos) << told[1];
  EXPECT_EQ(read_epoch_log(folder_ / "r" / "log.csv").size(), 3u);
  folder_.add("r/log.csv", std::string_view("a,b\n1,2\n"));
  Recipe longer = recipe();
  longer.stages[1].epochs = 3;
  expect_error([&] { go_on("r", longer); }, {"log.csv does not start as the log of this version does"});
}

TEST_F(Resume, OfAFinishedRunWithMoreEpochsGoesOnWithItsLastStage) {
  start("r", recipe());
  const Position before = read_checkpoint(folder_ / "r" / "last.safetensors").info.position;
  EXPECT_TRUE(is_finished(recipe(), before));
  EXPECT_TRUE(go_on("r").epochs.empty());
  Recipe longer = recipe();
  longer.stages[1].epochs = 5;
  EXPECT_FALSE(is_finished(longer, before));
  const auto result = go_on("r", longer);
  ASSERT_EQ(result.epochs.size(), 3u);
  EXPECT_EQ(result.epochs[0].epoch, 5);
  EXPECT_EQ(result.epochs[0].epochs, 7);
  EXPECT_EQ(result.epochs[0].stage, 2);
  const auto log = read_epoch_log(folder_ / "r" / "log.csv");
  ASSERT_EQ(log.size(), 7u);
  // The schedule is that of five epochs of three steps, at its seventh step.
  const auto steps = read_step_log(folder_ / "r" / "steps.csv");
  EXPECT_NEAR(steps[12].learning_rate, 1e-2 * schedule_factor({.name = "one_cycle"}, 6, 15), 1e-9);
}

TEST_F(Resume, RefusesOtherPhotographs) {
  int steps = 0;
  start("r", recipe(), {.step = [&](const StepResult&) { ++steps; }, .stop_requested = [&] { return steps == 1; }});
  const std::string logs = text_of(folder_ / "r" / "steps.csv");
  const auto whole = data_;
  data_.train.pop_back();
  expect_error([&] { go_on("r"); }, {"the run trained on t4, which the data do not hold now", "--resume"});
  data_.train = add_samples(folder_, "t", 6);
  expect_error([&] { go_on("r"); }, {"the run never trained on t5"});
  data_ = whole;
  std::swap(data_.train[0], data_.train[1]);
  expect_error([&] { go_on("r"); }, {"in another order (t0 before t1)"});
  data_ = whole;
  data_.validation[0] = data_.validation[1];
  data_.validation[0].id = "val0";
  expect_error([&] { go_on("r"); }, {"the photograph or the mask of val0 is not what it was when the run began"});
  data_ = whole;
  EXPECT_EQ(text_of(folder_ / "r" / "steps.csv"), logs);
  EXPECT_FALSE(go_on("r").stopped);
}

TEST_F(Resume, RefusesAFileThatChangedBetweenStagesOfDifferentSizes) {
  const char* sentence = "the photograph or the mask of t2 is not what it was when the run began";
  const auto change = [&] { data::write_png(data_.train[2].mask, disc_pair(48, 40, 99).mask); };
  bool first_stage_done = false;
  const auto stopped = start("r", recipe(),
                             {.epoch = [&](const EpochResult& epoch) { first_stage_done = epoch.epoch == 2; },
                              .stop_requested = [&] { return first_stage_done; }});
  ASSERT_TRUE(stopped.stopped);
  EXPECT_EQ(stopped.position.step, 0);
  const std::string whole = text_of(data_.train[2].mask);
  change();
  expect_error([&] { go_on("r"); }, {sentence});
  folder_.add(data_.train[2].mask.filename().string(), std::string_view(whole));
  EXPECT_FALSE(go_on("r").stopped);

  const auto change_after_the_stage = [&](const EpochResult& epoch) {
    if (epoch.epoch == 2) change();
  };
  expect_error([&] { start("s", recipe(), {.epoch = change_after_the_stage}); }, {sentence});
}

TEST_F(Resume, RefusesACheckpointOfAnEarlierFormatNamingIt) {
  start("r", recipe(), {});
  const fs::path last = folder_ / "r" / "last.safetensors";
  const auto write_as = [&](int format, const std::vector<const char*>& lacking) {
    TensorFile file = read_safetensors(last);
    auto json = nlohmann::json::parse(file.metadata.at("dermatome"));
    json["format"] = format;
    for (const char* key : lacking) json.erase(key);
    file.metadata["dermatome"] = json.dump();
    write_safetensors(last, file, Integrity::required);
  };
  const auto expect_refused = [&](const std::string& format) {
    EXPECT_NO_THROW(read_checkpoint(last));
    expect_error([&] { read_resumable(last); },
                 {"last.safetensors was written in the earlier format " + format + ", whose run cannot be resumed",
                  "its weights still evaluate and predict; to train further, start another run"});
  };
  write_as(2, {});
  expect_refused("2");
  write_as(1, {"sums", "data", "device", "processor", "disabled", "type"});
  expect_refused("1");
}

TEST_F(Resume, ARecipeThatIsNotUnderstoodNamesBothVersions) {
  Checkpoint checkpoint;
  checkpoint.info.version = "9.9";
  checkpoint.info.recipe = "seed = 1\nflavour = 3\n";
  expect_error([&] { recipe_of_run(checkpoint, "r/last.safetensors"); },
               {"of dermatome 9.9", "r/last.safetensors:2: ", "'flavour'"});
}

TEST_F(Resume, KeepsWhatTheStateIsTiedTo) {
  const Recipe run = recipe();
  const auto change = [&](const Position& position, auto apply) {
    Recipe wanted = run;
    apply(wanted);
    return continued(run, wanted, position);
  };
  const Position first{.stage = 0, .epoch = 1, .step = 1, .epochs_done = 1, .steps_done = 4};
  EXPECT_TRUE(differences(run, change(first, [](Recipe&) {})).empty());
  expect_error([&] { change(first, [](Recipe& r) { r.seed = 9; }); }, {"a resumed run keeps its seed (3)", "seed = 9"});
  expect_error([&] { change(first, [](Recipe& r) { r.colour_constancy = data::ColourConstancy::max_rgb; }); },
               {"a resumed run keeps its colour_constancy"});
  expect_error([&] { change(first, [](Recipe& r) { r.model = "unet34"; }); }, {"keeps its model", "unet34"});
  expect_error([&] { change(first, [](Recipe& r) { r.stages[0].batch = 2; }); },
               {"stage 1 has begun and keeps its batch (1)", "batch = 2"});
  expect_error([&] { change(first, [](Recipe& r) { r.stages[0].frozen = {"late"}; }); }, {"keeps its frozen ([])"});
  expect_error([&] { change(first, [](Recipe& r) { r.stages[0].epochs = 1; }); },
               {"epochs = 1 is too few", "epoch 2 of stage 1"});
  EXPECT_EQ(change(first, [](Recipe& r) { r.stages[0].lr = 0.5; }).stages[0].lr, 0.5);
  EXPECT_EQ(change(first, [](Recipe& r) { r.stages[1].batch = 7; }).stages[1].batch, 7);
  EXPECT_EQ(change(first, [](Recipe& r) { r.stages.pop_back(); }).stages.size(), 1u);

  const Position second{.stage = 1, .epoch = 0, .step = 1, .epochs_done = 2, .steps_done = 7};
  EXPECT_EQ(change(second,
                   [](Recipe& r) {
                     for (auto& stage : r.stages) stage.lr = 0.5;
                   })
                .stages[0]
                .lr,
            1e-2)
      << "a stage that is done";
  expect_error([&] { change(second, [](Recipe& r) { r.stages.pop_back(); }); },
               {"the recipe has 1 stage but stage 2 of the run has begun"});

  const Position done{.stage = 1, .epoch = 2, .step = 0, .epochs_done = 4, .steps_done = 12};
  EXPECT_TRUE(is_finished(change(done,
                                 [](Recipe& r) {
                                   r.stages[1].batch = 9;
                                   r.stages[1].epochs = 1;
                                 }),
                          done));
  EXPECT_FALSE(is_finished(change(done, [](Recipe& r) { r.stages.push_back(r.stages[1]); }), done));
}

TEST_F(Resume, TellsWhatChangedInSettingsAndEnvironment) {
  Recipe changed = recipe();
  EXPECT_EQ(settings_that_change(recipe(), changed), "");
  changed.checkpoint_every = {.steps = 7, .minutes = 0};
  EXPECT_EQ(settings_that_change(recipe(), changed), "") << "it changes no bit";
  changed.stages[1].lr = 0.5;
  changed.stages.push_back({});
  EXPECT_EQ(settings_that_change(recipe(), changed),
            "settings change from here on: stage 2: lr 0.01 -> 0.5; stage 3 is new");

  CheckpointInfo then = environment(kCpuDevice, {});
  then.graph_text = "a";
  CheckpointInfo now = then;
  EXPECT_TRUE(differences_that_matter(then, now).empty());
  now.graph_text = "";
  EXPECT_TRUE(differences_that_matter(then, now).empty()) << "the file is gone";
  now.graph_text = "b";
  now.threads = 5;
  now.instruction_set = "x86-64-v2";
  now.device = "reference";
  now.disabled = {"add_relu"};
  const auto told = differences_that_matter(then, now);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_NE(told[0].find("device cpu, now reference; instruction set " + then.instruction_set +
                         ", now x86-64-v2; threads 1, now 5; disabled none, now add_relu: the bits will not be"),
            std::string::npos)
      << told[0];
  EXPECT_NE(told[1].find("the model's text has changed"), std::string::npos);
}

// A weight that is no number must not reach the disk, and the sentence names the checkpoint before it.
TEST_F(Resume, ALossThatIsNoNumberLeavesTheLastGoodCheckpoint) {
  Recipe wild = recipe();
  wild.stages = {wild.stages[0]};
  wild.stages[0].epochs = 3;
  start("r", wild, {.step = {}, .stop_requested = {}});
  wild.stages[0].epochs = 50;
  wild.stages[0].lr = 1e30;
  wild.stages[0].schedule.name = "constant";
  expect_error([&] { go_on("r", wild); },
               {"not a number any more at step ", "learning rate 1e+30", "the last good checkpoint, of step 9, is ",
                "last.safetensors: go on from it with --resume and a smaller lr"});
  const Checkpoint good = read_checkpoint(folder_ / "r" / "last.safetensors");
  EXPECT_EQ(good.info.position.steps_done, 9);
  for (const auto& [name, tensor] : good.states) {
    for (const float value : tensor.as<float>()) ASSERT_TRUE(std::isfinite(value)) << name;
  }
  wild.stages[0].lr = 1e-4;
  wild.stages[0].epochs = 5;
  EXPECT_FALSE(go_on("r", wild).epochs.empty());
}

}  // namespace
}  // namespace dermatome::training

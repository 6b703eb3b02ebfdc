// Running out of a GPU's memory, on the host in its role: what is said, and that what would fit does.
#include <gtest/gtest.h>

#include <regex>

#include "tests/cuda/emulated_device.h"
#include "tests/training/support.h"
#include "tools/measurement/step_bench.h"
#include "tools/training/memory_needs.h"
#include "tools/training/predictor.h"
#include "tools/training/stage_data.h"
#include "tools/training/stage_runner.h"

namespace dermatome::training {
namespace {

using namespace testing;
using harness::EmulatedDevice;
using harness::kCuda;

constexpr int kSize = 128;
constexpr std::size_t kPhotograph = std::size_t{4} * kSize * kSize;

std::string what_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

// The number behind `word` in a sentence.
int number_behind(const std::string& word, const std::string& sentence) {
  std::smatch match;
  if (std::regex_search(sentence, match, std::regex(word + "([0-9]+)"))) return std::stoi(match[1]);
  ADD_FAILURE() << "no " << word << " in: " << sentence;
  return 0;
}

class EmulatedMemory : public TrainingTest {
 protected:
  StageSettings stage(int batch, int size = kSize) const {
    return {.size = size, .batch = batch, .epochs = 1, .frozen = {}, .schedule = {}, .lr = 1e-2, .group_lr = {}};
  }
  Recipe recipe(std::vector<StageSettings> stages) const {
    return {.model = (folder_ / "tiny.graph").string(), .seed = 3, .stages = std::move(stages)};
  }
  TrainingResult start(const std::string& run, const Recipe& recipe, Residence residence = Residence::device,
                       const TrainingObserver& observer = {}) const {
    std::filesystem::create_directories(folder_ / run);
    TrainOptions options = this->options(run, recipe);
    options.device = kCuda;
    options.residence = residence;
    return train(options, data_, observer);
  }
  // Of all programs of such a stage.
  std::size_t programs(const StageSettings& stage) const {
    return bytes_of_programs({.model = model_, .stage = stage, .resident = 1, .device = kCuda}, stage.batch,
                             static_cast<std::int64_t>(data_.train.size()),
                             static_cast<std::int64_t>(data_.validation.size()), 0);
  }

  Model model_ = two_groups();
  EmulatedDevice device_;
};

TEST_F(EmulatedMemory, ALaterStageIsRefusedBeforeTheFirstStepAndTheBatchThatIsNamedFits) {
  const std::size_t photographs = 8 * kPhotograph;
  device_.set_memory(photographs + (programs(stage(1)) + programs(stage(4))) / 2);
  bool ready = false;
  const std::string said = what_of([&] {
    start("a", recipe({stage(2, 32), stage(4)}), Residence::device, {.ready = [&] { ready = true; }});
  });
  EXPECT_FALSE(ready) << "the first stage began";
  for (const char* part : {"stage 2, 128 px with batch 4: this needs ", " MiB of memory on cuda:0 and ", " are left; "})
    EXPECT_NE(said.find(part), std::string::npos) << part << " not in: " << said;
  const int fits = number_behind("batch=", said);
  EXPECT_LT(fits, 4);
  EXPECT_TRUE(start("b", recipe({stage(2, 32), stage(fits)})).saved);
  EXPECT_EQ(device_.memory_in_use(), 0u);
}

TEST_F(EmulatedMemory, PhotographsThatDoNotFitMayStayInTheHostsMemory) {
  for (const auto& sample : add_samples(folder_, "more", 40)) data_.train.push_back(sample);
  device_.set_memory(24 * kPhotograph + programs(stage(2)));
  const std::string said = what_of([&] { start("a", recipe({stage(2)})); });
  EXPECT_NE(said.find("--photographs host"), std::string::npos) << said;
  EXPECT_TRUE(start("b", recipe({stage(2)}), Residence::host).saved);
}

TEST_F(EmulatedMemory, EachPartOfAStageThatDoesNotFitIsNamedWithWhatToDo) {
  device_.set_memory(100);
  expect_error(
      [&] { start("a", recipe({stage(1, 32)})); },
      {"the weights of tiny: this needs ", " MiB of memory on cuda:0 and ", " MiB are left; ", "another --device"});
  const Recipe small = recipe({stage(1, 32)});
  TrainOptions options = this->options("a", small);
  options.device = kCuda;
  options.residence = Residence::device;
  expect_error([&] { load_stage_data(options, data_, {}, small.stages[0], {}, true); },
               {"the photographs of 32 px: this needs ", " are left; ", "take --photographs host or a smaller size"});

  device_.set_memory(std::size_t{1} << 30);
  StateStore store(kCuda);
  store.create(states_of(model_, DType::f32), 1);
  StageData loaded = load_stage_data(options, data_, {}, small.stages[0], {}, true);
  device_.set_memory(device_.memory_in_use() + 1000);
  expect_error(
      [&] {
        StageRunner(model_, small.stages[0], 1, std::move(loaded.training), std::move(loaded.validation), kCuda, {},
                    store);
      },
      {"gradients, moments and averages: this needs ", " are left; ", "take --photographs host, or freeze groups"});
}

TEST_F(EmulatedMemory, ARunnerWhoseProgramsDoNotFitTogetherNamesTheBatch) {
  const StageSettings four = stage(4);
  const Recipe recipe = this->recipe({four});
  TrainOptions options = this->options("a", recipe);
  options.device = kCuda;
  options.residence = Residence::device;
  StateStore store(kCuda);
  store.create(states_of(model_, DType::f32), 1);
  StageData loaded = load_stage_data(options, data_, {}, four, {}, true);
  StageRunner runner(model_, four, 1, std::move(loaded.training), std::move(loaded.validation), kCuda, {}, store);
  const std::size_t held = device_.memory_in_use();
  // One byte less than all of them: the last arena is what does not fit.
  device_.set_memory(held + programs(four) - 1);
  const std::string said = what_of([&] { runner.compile(5, 3); });
  EXPECT_TRUE(said.starts_with("128 px with batch 4: this needs ")) << said;
  EXPECT_NE(said.find(" would fit, and --photographs host leaves more"), std::string::npos) << said;
  EXPECT_LT(number_behind("batch=", said), 4);
}

TEST_F(EmulatedMemory, APredictorNamesTheBatchOrTheSizeThatFits) {
  StateStore store;
  store.create(states_of(model_, DType::f32), 8);
  const auto path = folder_ / "c.safetensors";
  write_checkpoint(path, store,
                   {.graph_text = model_.canonical_text(), .preprocessing = {.size = kSize, .threshold = 0.5}}, true);
  const auto predict = [&](int count, const PredictorOptions& options) {
    Predictor predictor(path, kCuda, {}, options);
    const std::vector<data::Image> inputs(static_cast<std::size_t>(count),
                                          data::make_image(predictor.size(), predictor.size(), 3));
    predictor.probabilities(inputs);
    return device_.memory_in_use();
  };
  device_.set_memory(predict(8, {}) / 2);
  const std::string said = what_of([&] { predict(8, {.batch_option = "--batch ", .size_option = "--size "}); });
  EXPECT_TRUE(said.starts_with("128 px, 8 photographs at once: this needs ")) << said;
  const int fits = number_behind("--batch ", said);
  EXPECT_LT(fits, 8);
  EXPECT_NO_THROW(predict(fits, {}));
  const std::string smaller = what_of([&] { predict(8, {.size_option = "--size "}); });
  const int size = number_behind("--size ", smaller);
  EXPECT_LT(size, kSize);
  EXPECT_NO_THROW(predict(8, {.size = size}));
  device_.set_memory(100);
  expect_error([&] { predict(1, {}); }, {"the weights of ", "this needs ", " are left; take fewer models together"});
}

TEST_F(EmulatedMemory, ABenchNamesTheBatchOrTheSizeThatFits) {
  for (const std::string mode : {"train", "infer"}) {
    const auto bench = [&](int batch, int size) {
      measurement::StepBench step(model_, {.mode = mode, .size = size, .batch = batch, .device = kCuda});
      step.run();
      return device_.memory_in_use();
    };
    device_.set_memory(std::size_t{1} << 30);
    const std::size_t one = bench(1, kSize);
    device_.set_memory(bench(8, kSize) / 2);
    const std::string said = what_of([&] { bench(8, kSize); });
    EXPECT_TRUE(said.starts_with(fmt::format("tiny {} 128 px batch 8: this needs ", mode))) << said;
    const int fits = number_behind("--batch ", said);
    EXPECT_LT(fits, 8);
    EXPECT_NO_THROW(bench(fits, kSize));
    device_.set_memory(one / 2);
    const std::string smaller = what_of([&] { bench(8, kSize); });
    EXPECT_NE(smaller.find(" with --batch 1 would fit"), std::string::npos) << smaller;
    EXPECT_NO_THROW(bench(1, number_behind("--size ", smaller)));
  }
}

}  // namespace
}  // namespace dermatome::training

// What a dry run finds out: steps, rates and memory exactly, times by running.
#include "tools/training/plan.h"

#include <gtest/gtest.h>

#include "data/cache.h"
#include "data/resident_set.h"
#include "engine/core/threads.h"
#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;

StageSettings small_stage() {
  return {.size = 32, .batch = 2, .epochs = 3, .frozen = {}, .schedule = {}, .lr = 1e-2, .group_lr = {}};
}

TEST(Plan, TellsTheFirstLargestAndLastRateOfEveryGroup) {
  StageSettings stage = small_stage();
  stage.schedule = {.name = "use_clr", .div = 20, .cut_div = 10};
  stage.group_lr = {{"late", 1e-3}};
  stage.frozen = {"early"};
  const auto rates = rates_of(stage, {"early", "late"}, 100);
  ASSERT_EQ(rates.size(), 2u);
  EXPECT_TRUE(rates[0].frozen);
  EXPECT_FALSE(rates[1].frozen);
  EXPECT_DOUBLE_EQ(rates[1].first, 1e-3 / 20);
  EXPECT_DOUBLE_EQ(rates[1].peak, 1e-3);
  EXPECT_DOUBLE_EQ(rates[1].last, 1e-3 * (1 + (1 - 89.0 / 90) * 19) / 20);
  EXPECT_DOUBLE_EQ(rates_of(stage, {}, 100).at(0).peak, 1e-2);
}

class PlanOfARun : public ::testing::Test {
 protected:
  PlanOfARun() {
    set_threads(1);
    data_ = {.train = add_samples(folder_, "t", 7), .validation = add_samples(folder_, "val", 3)};
  }
  Plan plan(const std::vector<StageSettings>& stages, data::Cache* cache = nullptr) const {
    const TrainOptions options{.recipe = {.model = "tiny", .seed = 3, .stages = stages},
                               .run = "",
                               .device = kCpuDevice,
                               .compile = {},
                               .cache = cache};
    return measure_plan(two_groups(), options, data_);
  }

  TemporaryFolder folder_;
  TrainingData data_;
};

TEST_F(PlanOfARun, CountsStepsAndBytesAndRunsEveryStage) {
  StageSettings larger = small_stage();
  larger.size = 64;
  larger.accumulate = 2;
  const Plan plan = this->plan({small_stage(), larger});
  ASSERT_EQ(plan.stages.size(), 2u);
  EXPECT_EQ(plan.stages[0].steps_per_epoch, 4);
  EXPECT_EQ(plan.stages[1].steps_per_epoch, 2);
  EXPECT_EQ(plan.stages[0].resident_set, 10u * 32 * 32 * 4);
  EXPECT_EQ(plan.stages[1].resident_set, 10u * 64 * 64 * 4);
  EXPECT_GT(plan.stages[1].memory.arenas, plan.stages[0].memory.arenas);
  for (const auto& stage : plan.stages) {
    EXPECT_GT(stage.training_seconds, 0);
    EXPECT_GT(stage.validation_seconds, 0);
    EXPECT_GT(stage.reading_seconds, 0);
    EXPECT_GT(stage.memory.states, 0u);
    EXPECT_GE(plan.peak(stage), plan.program + stage.memory.arenas + stage.memory.states + stage.resident_set);
  }
  const std::string text = to_text(plan, data_);
  for (const char* part : {"7 photographs to train on, 3 to validate", "stage 1: 32 px, batch 2, 3 epochs of 4 steps",
                           "stage 2: 64 px, batch 2 x 2, 3 epochs of 2 steps", "in all: 6 epochs, 18 steps"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " not in " << text;
}

TEST_F(PlanOfARun, SaysWhatIsFrozen) {
  StageSettings stage = small_stage();
  stage.frozen = {"early"};
  const std::string text = to_text(plan({stage}), data_);
  EXPECT_NE(text.find("early          frozen\n"), std::string::npos) << text;
  EXPECT_NE(text.find("late           rate "), std::string::npos) << text;
}

TEST_F(PlanOfARun, HoldsTheProgramsOfShortLastBatches) {
  data_.validation = add_samples(folder_, "val", 4);
  const std::size_t even = plan({small_stage()}).stages[0].memory.arenas;
  data_.validation.push_back(data_.train[0]);
  EXPECT_GT(plan({small_stage()}).stages[0].memory.arenas, even);
  data_.validation.pop_back();
  data_.train.pop_back();
  EXPECT_LT(plan({small_stage()}).stages[0].memory.arenas, even);
}

TEST_F(PlanOfARun, TellsWhatACacheHoldsAndAddsNothingToIt) {
  const auto text = [&] {
    data::Cache cache(folder_ / "cache", data::Cache::Access::read_only);
    return to_text(plan({small_stage()}, &cache), data_);
  };
  EXPECT_NE(text().find("cache          0 of 10 pairs at 32 px are in "), std::string::npos) << text();
  EXPECT_FALSE(std::filesystem::exists(folder_ / "cache"));
  {
    data::Cache cache(folder_ / "cache");
    data::load_resident_set(data_.train, 32, {.cache = &cache});
  }
  EXPECT_NE(text().find("cache          7 of 10 pairs at 32 px are in "), std::string::npos) << text();
}

TEST_F(PlanOfARun, NamesTheSizeOfACheckpoint) {
  const Plan plan = this->plan({small_stage()});
  StateStore store(kCpuDevice);
  store.create(states_of(two_groups(), DType::f32), 3);
  const StageSettings stage = small_stage();
  store.create(optimizer_states({.model = two_groups(), .stage = stage, .resident = 1}), 3);
  EXPECT_EQ(plan.checkpoint, store.bytes());
}

TEST_F(PlanOfARun, WithoutValidationHasNoTimeForIt) {
  data_.validation.clear();
  EXPECT_EQ(plan({small_stage()}).stages[0].validation_seconds, 0);
}

}  // namespace
}  // namespace dermatome::training

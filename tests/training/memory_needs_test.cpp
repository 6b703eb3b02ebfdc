// What a stage needs is what it takes, and what is said to fit does.
#include "tools/training/memory_needs.h"

#include <gtest/gtest.h>

#include "tests/training/support.h"
#include "tools/training/stage_runner.h"

namespace dermatome::training {
namespace {

using namespace testing;

TEST(MemoryNeeds, AnEpochHasItsShortBatchesToo) {
  const EpochBatches plain = batches_of(4, 1, 10, 7);
  EXPECT_EQ(plain.training, (std::set<std::pair<std::int64_t, bool>>{{4, false}, {2, false}}));
  EXPECT_EQ(plain.validation, (std::set<std::int64_t>{4, 3}));
  const EpochBatches accumulated = batches_of(4, 3, 30, 0);  // steps of 12, 12 and 6
  EXPECT_EQ(accumulated.training, (std::set<std::pair<std::int64_t, bool>>{{4, false}, {4, true}, {2, true}}));
  EXPECT_TRUE(accumulated.validation.empty());
  const EpochBatches few = batches_of(8, 1, 3, 8);
  EXPECT_EQ(few.training, (std::set<std::pair<std::int64_t, bool>>{{3, false}}));
  EXPECT_EQ(few.validation, (std::set<std::int64_t>{8}));
}

TEST(MemoryNeeds, OfProgramsAreWhatTheyTake) {
  set_threads(1);
  const Model model = two_groups();
  for (const int accumulate : {1, 2}) {
    StageSettings stage;
    stage.size = 32;
    stage.batch = 2;
    stage.accumulate = accumulate;
    StateStore store;
    store.create(states_of(model, DType::f32), 1);
    const std::vector<std::uint8_t> pixels(5 * 32 * 32 * 3), masks(5 * 32 * 32);
    const auto part = [&](std::size_t count) {
      return PhotographSet(std::span(pixels).first(count * 32 * 32 * 3), std::span(masks).first(count * 32 * 32), 32,
                           kCpuDevice);
    };
    StageRunner runner(model, stage, 1, part(5), part(3), kCpuDevice, {}, store);
    const StagePrograms programs{.model = model, .stage = stage, .resident = 5};
    const std::size_t needed = bytes_of_programs(programs, 2, 5, 3, store.prepared_bytes());
    runner.compile(5, 3);
    const StageMemory memory = runner.memory();
    const std::size_t loss_and_metrics = 4 + 4 * kMetrics;  // for one photograph; 4 bytes less for each further loss
    const std::size_t of_training =
        accumulate == 1 ? 3 * 4 * kMetrics + 2 * 4 : 2 * (2 * 4 * kMetrics + 4) + loss_and_metrics;
    const std::size_t of_validation = 3 * 4 * kMetrics + 2 * 4 + 3 * 32 * 32 * 4;  // and probabilities
    EXPECT_EQ(needed, memory.arenas + memory.prepared_copies + of_training + of_validation) << accumulate;
    EXPECT_EQ(bytes_of_programs(programs, 2, 5, 3, memory.prepared_copies), needed - memory.prepared_copies);
  }
}

TEST(MemoryNeeds, TheBatchThatIsNamedFitsAndTheNextDoesNot) {
  int asked = 0;
  const auto needs = [&](std::int64_t batch) {
    ++asked;
    return static_cast<std::size_t>(1000 + 70 * batch);
  };
  EXPECT_EQ(batch_that_fits(64, 2000, needs), 14);
  EXPECT_LE(asked, 4) << "each time programs are planned";
  EXPECT_EQ(batch_that_fits(2, 1100, needs), 1);
  EXPECT_EQ(batch_that_fits(64, 1070, needs), 1);
  EXPECT_EQ(batch_that_fits(64, 1069, needs), 0);
  EXPECT_EQ(batch_that_fits(1, 1069, needs), 0);
}

TEST(MemoryNeeds, TheSizeThatIsNamedFitsAndCanBeTaken) {
  const auto needs = [](std::int64_t size) { return static_cast<std::size_t>(1000 + 2 * size * size); };
  const std::int64_t fits = size_that_fits(512, 32, 200000, needs);
  EXPECT_LE(needs(fits), 200000u);
  EXPECT_GT(needs(fits + 32), 200000u);
  EXPECT_EQ(fits % 32, 0);
  EXPECT_EQ(size_that_fits(512, 32, 3000, needs), 0);
}

TEST(MemoryNeeds, WhatWouldFitIsSaidInTheOptionsThatThereAre) {
  const auto needs = [](std::int64_t batch, std::int64_t size) {
    return static_cast<std::size_t>(batch * size * size);
  };
  const FitOptions both{.batch_option = "--batch ", .size_option = "--size ", .batch = 8, .size = 64, .divisor = 32};
  EXPECT_EQ(what_would_fit(both, 3 * 64 * 64, needs), "--batch 3 would fit");
  EXPECT_EQ(what_would_fit(both, 2000, needs), "--size 32 with --batch 1 would fit");
  EXPECT_EQ(what_would_fit(both, 1000, needs), "it takes a device with more memory");
  FitOptions size_only = both;
  size_only.batch_option.clear();
  EXPECT_EQ(what_would_fit(size_only, 3 * 64 * 64, needs), "--size 32 would fit");
  FitOptions one = both;
  one.batch = 1;
  EXPECT_EQ(what_would_fit(one, 2000, needs), "--size 32 would fit");
}

}  // namespace
}  // namespace dermatome::training

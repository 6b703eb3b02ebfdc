// The live view and the table at every width: nothing longer than the line, the important things first.
#include "tools/training/live_view.h"

#include <gtest/gtest.h>

namespace dermatome::training {
namespace {

TEST(LiveView, CountsThreads) {
  EXPECT_EQ(threads_text(1), "1 thread");
  EXPECT_EQ(threads_text(2), "2 threads");
}

constexpr StepResult kStep{.epoch = 3,
                           .epochs = 12,
                           .images_done = 425,
                           .images = 850,
                           .loss = 0.21345,
                           .jaccard = 0.734,
                           .images_per_second = 14.25,
                           .share_done = 0.2,
                           .seconds_left = 1392};
constexpr BestEpoch kBest{.epoch = 2, .jaccard = 0.7655};
constexpr EpochResult kEpoch{.epoch = 2,
                             .epochs = 12,
                             .stage = 1,
                             .size = 128,
                             .learning_rate = 1e-3,
                             .train_loss = 0.25,
                             .train_jaccard = 0.7,
                             .validation_loss = 0.3,
                             .validation_jaccard = 0.7655,
                             .images_per_second = 14.2,
                             .validated = true,
                             .best = true};
constexpr std::size_t kMemory = std::size_t{1213} << 20;

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

TEST(LiveView, AtEightyColumnsIsABarAndTwoLines) {
  EXPECT_EQ(joined(step_lines(kStep, kBest, kMemory, {.width = 79})),
            "epoch 3/12 ####################-------------------- 425/850\n"
            "23 min 12 s left  loss 0.2135  Jaccard 0.734  best 0.7655 (epoch 2)\n"
            "14.2 images/s  1213 MiB\n");
}

TEST(LiveView, AtFortyColumnsTakesMoreLines) {
  EXPECT_EQ(joined(step_lines(kStep, kBest, kMemory, {.width = 39})),
            "epoch 3/12 ##########---------- 425/850\n"
            "23 min 12 s left  loss 0.2135\n"
            "Jaccard 0.734  best 0.7655 (epoch 2)\n"
            "14.2 images/s  1213 MiB\n");
}

TEST(LiveView, FitsAnyWidth) {
  for (const bool unicode : {false, true}) {
    for (int width = 10; width <= 200; ++width) {
      const ViewStyle style{.width = width, .colour = unicode, .unicode = unicode};
      for (const auto& line : step_lines(kStep, kBest, kMemory, style)) EXPECT_LE(columns_of(line), width) << line;
      EXPECT_LE(columns_of(count_line("reading", 12, 850, 34, style)), width);
    }
  }
}

TEST(LiveView, HasNoControlCharactersWithoutColour) {
  for (const auto& line : step_lines(kStep, kBest, kMemory, {.width = 79, .unicode = true}))
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_EQ(epoch_row(kEpoch, kMemory, {.width = 79}).find('\x1b'), std::string::npos);
  EXPECT_NE(step_lines(kStep, kBest, kMemory, {.width = 79, .colour = true})[0].find('\x1b'), std::string::npos);
}

TEST(LiveView, SaysNothingOfABestEpochBeforeThereIsOne) {
  EXPECT_EQ(joined(step_lines(kStep, {}, kMemory, {.width = 79})).find("best"), std::string::npos);
}

TEST(LiveView, CountsWithTheTimeLeftOnceItIsKnown) {
  EXPECT_EQ(count_line("reading", 5, 10, 34, {.width = 39}), "reading ########------- 5/10, 34 s left");
  EXPECT_EQ(count_line("reading", 0, 10, -1, {.width = 24}), "reading ----------- 0/10");
}

TEST(EpochTable, LeavesOutWhatTellsLeastWhereTheLineIsShort) {
  EXPECT_EQ(epoch_header({.width = 100}),
            "  epoch   px      rate    loss  Jaccard  val loss  val Jaccard  images/s    memory");
  EXPECT_EQ(epoch_row(kEpoch, kMemory, {.width = 100}),
            "   2/12  128  1.00e-03  0.2500   0.7000    0.3000       0.7655      14.2  1213 MiB  best");
  EXPECT_EQ(epoch_header({.width = 79}), "  epoch   px      rate    loss  Jaccard  val loss  val Jaccard  images/s");
  EXPECT_EQ(epoch_row(kEpoch, kMemory, {.width = 39}), "   2/12    0.3000       0.7655  best");
}

TEST(EpochTable, FitsAnyWidthAndHasRowsAsLongAsItsHeader) {
  for (int width = 13; width <= 200; ++width) {
    const ViewStyle style{.width = width, .colour = true};
    EXPECT_LE(columns_of(epoch_row(kEpoch, kMemory, style)), width);
    EXPECT_EQ(columns_of(epoch_row(kEpoch, kMemory, style)), columns_of(epoch_header(style) + "  best"));
  }
}

TEST(EpochTable, HasDashesWhereNothingWasValidated) {
  EpochResult result = kEpoch;
  result.validated = false;
  EXPECT_EQ(epoch_row(result, kMemory, {.width = 39}), "   2/12         -            -");
}

}  // namespace
}  // namespace dermatome::training

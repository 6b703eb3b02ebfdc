// The picture of a learning-rate finder's curve.
#include "tools/report/rate_chart.h"

#include <gtest/gtest.h>

#include "tests/report/support.h"

namespace dermatome::report {
namespace {

using testing::occurrences;

RateChart chart() {
  RateChart chart{.title = "stage 1",
                  .loss_name = "training loss",
                  .losses = {{1e-4, .7}, {1e-3, .6}, {1e-2, .3}, {1e-1, .4}, {1, 90}},
                  .averages = {{1e-4, .7}, {1e-3, .65}, {1e-2, .5}, {1e-1, .5}, {1, 30}},
                  .smoothed = {{1e-4, .7}, {1e-3, .55}, {1e-2, .3}, {1e-1, .4}, {1, 50}},
                  .steepest = 3e-3,
                  .lowest = 1e-2};
  return chart;
}

TEST(RateChart, ShowsTheLossThreeTimesAndBothChoices) {
  const std::string svg = rate_picture(chart());
  for (const char* part : {"class=\"line run-1\"", "class=\"line run-2\"", "class=\"line run-6 pale\"",
                           ">steepest 0.003</text>", ">minimum / 10</text>", ">training loss</text>", "log scale"})
    EXPECT_EQ(occurrences(svg, part), 1u) << part;
  EXPECT_EQ(occurrences(svg, "nan"), 0u);
}

TEST(RateChart, CutsOffWhatExplodes) {
  const std::string svg = rate_picture(chart());
  EXPECT_EQ(occurrences(svg, ">0.8</text>"), 1u) << "the axis ends just above the first losses";
  EXPECT_EQ(occurrences(svg, ">90</text>"), 0u);
}

TEST(RateChart, WithoutASuggestionHasNoMarkForIt) {
  RateChart none = chart();
  none.steepest.reset();
  none.logarithmic = false;
  none.smoothed.erase(none.smoothed.begin());
  none.losses.front().x = 0;
  const std::string svg = rate_picture(none);
  EXPECT_EQ(occurrences(svg, "steepest"), 0u);
  EXPECT_EQ(occurrences(svg, "log scale"), 0u);
}

}  // namespace
}  // namespace dermatome::report

// The picture of a learning-rate finder's curve.
#include "tools/report/rate_chart.h"

#include <gtest/gtest.h>

#include "tests/report/support.h"
#include "tools/report/figure_files.h"
#include "tools/report/html.h"

namespace dermatome::report {
namespace {

using testing::occurrences;

RateChart chart() {
  return {.title = "stage 1",
          .loss_name = "training loss",
          .points = {{1e-4, .7, .7, .7}, {1e-3, .6, .65, .55}, {1e-2, .3, .5, .3}, {1e-1, .4, .5, .4}, {1, 90, 30, 50}},
          .steepest = 3e-3,
          .lowest = 1e-2};
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
  none.points.front().smoothed = kMissing;
  none.points.front().rate = 0;
  const std::string svg = rate_picture(none);
  EXPECT_EQ(occurrences(svg, "steepest"), 0u);
  EXPECT_EQ(occurrences(svg, "minimum"), 0u) << "of a loss that does not fall";
  EXPECT_EQ(occurrences(svg, "log scale"), 0u);
}

TEST(RateChart, KeepsTheTextsOfItsTwoMarksApart) {
  const auto height = [](const std::string& svg, const std::string& text) {
    const auto start = svg.find(" y=\"", svg.rfind("<text", svg.find(">" + text))) + 4;
    return std::stod(svg.substr(start));
  };
  const std::string svg = rate_picture(chart());
  EXPECT_GE(height(svg, "steepest") - height(svg, "minimum"), 14);
}

TEST(RateChart, DrawsNothingOutsideItsFrame) {
  RateChart wild = chart();
  wild.points[3].smoothed = -1000;
  const std::string svg = rate_picture(wild);
  EXPECT_EQ(occurrences(svg, "L"), occurrences(rate_picture(chart()), "L") - 1) << "one piece of a line less";
}

TEST(RateChart, IsAFigureOfThePageAndAFile) {
  ReportData data = testing::typical_data(6, 0);
  data.rate_finders = {chart(), chart()};
  data.rate_finders[1].title = "stage 2";
  data.rate_finders[1].steepest.reset();
  const std::string html = render_html(data);
  EXPECT_EQ(testing::Page(html).problem, "");
  for (const char* part : {"<h3>stage 1</h3>", "<h3>stage 2</h3>", ">steepest 0.003</text>",
                           "<figcaption class=\"caption\">The loss never falls beyond its noise.</figcaption>"})
    EXPECT_EQ(occurrences(html, part), 1u) << part;
  int files = 0;
  for (const auto& file : figure_files(data)) {
    if (!file.name.starts_with("learning_rate_finder_")) continue;
    ++files;
    EXPECT_EQ(testing::Page(file.bytes).problem, "") << file.name;
    EXPECT_NE(file.bytes.find(">running average</text>"), std::string::npos);
  }
  EXPECT_EQ(files, 2);
}

}  // namespace
}  // namespace dermatome::report

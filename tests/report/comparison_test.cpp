// Several runs on one page: paired differences, settings that differ, photographs, and the page itself.
#include "tools/report/comparison.h"

#include <gtest/gtest.h>

#include "tests/report/support.h"
#include "tools/report/comparison_charts.h"

namespace dermatome::report {
namespace {

using testing::occurrences;
using testing::Page;
using testing::scored_image;
using testing::typical_data;

std::vector<ReportImage> images_of(const std::vector<double>& jaccards) {
  std::vector<ReportImage> images;
  for (std::size_t i = 0; i < jaccards.size(); ++i) {
    images.push_back({.id = "ISIC_" + std::to_string(i), .jaccard = jaccards[i]});
  }
  return images;
}

TEST(RunDifference, IsPairedByPhotograph) {
  // Hard for both: unpaired intervals would be as wide as the scores, the paired one lies above 0.
  std::vector<double> first, other;
  for (int i = 0; i < 40; ++i) {
    first.push_back(i % 2 ? 0.2 : 0.9);
    other.push_back(first.back() + 0.01 + 0.001 * (i % 5));
  }
  auto shuffled = images_of(other);
  std::reverse(shuffled.begin(), shuffled.end());
  const auto result = difference(images_of(first), shuffled);
  EXPECT_EQ(result.photographs, 40u);
  EXPECT_NEAR(result.mean, 0.012, 1e-9);
  EXPECT_GT(*result.low, 0.0115);
  EXPECT_LT(*result.high, 0.0125);
  EXPECT_EQ(result.higher, 40u);
  EXPECT_EQ(result.lower, 0u);
}

TEST(RunDifference, CountsOnlyPhotographsOfBothRuns) {
  auto other = images_of({0.5, 0.7, 0.1, 0.4});
  other[0].id = "elsewhere";
  other[2].jaccard = kMissing;
  const auto result = difference(images_of({0.5, 0.6, 0.6, 0.5}), other);
  EXPECT_EQ(result.photographs, 2u);
  EXPECT_NEAR(result.mean, 0, 1e-9);
  EXPECT_EQ(result.higher, 1u);
  EXPECT_EQ(result.lower, 1u);
  const auto none = difference(images_of({0.5}), {});
  EXPECT_EQ(none.photographs, 0u);
  EXPECT_FALSE(none.low);
}

TEST(DifferingSettings, GoLineByLineThroughRecipes) {
  std::vector<ReportData> runs(2);
  runs[0].settings = {
      {"model", "unet34"}, {"threads", "2"}, {"recipe", "seed = 1\n\n[[stage]]\nlr = 1e-3\nsize = 64\n"}};
  runs[1].settings = {
      {"model", "unet34"},
      {"recipe",
       "seed = 1\n# a comment\n[[stage]]\nlr = 3e-3\nsize = 64\n[stage.group_lr]\nlate = 1\n[[stage]]\nsize = 128\n"}};
  const auto settings = differing_settings(runs);
  std::vector<std::string> text;
  for (const auto& setting : settings) text.push_back(setting.name + "|" + setting.values[0] + "|" + setting.values[1]);
  EXPECT_EQ(text, (std::vector<std::string>{"threads|2|–", "stage 1: lr|1e-3|3e-3", "stage 1: group_lr.late|–|1",
                                            "stage 2: size|–|128"}));
  runs[1] = runs[0];
  EXPECT_TRUE(differing_settings(runs).empty());
}

TEST(MostDifferent, PhotographsComeWithTheLargestDifferenceFirst) {
  std::vector<ReportData> runs(3);
  runs[0].images = images_of({0.5, 0.5, 0.5, 0.5, 0.5});
  runs[1].images = images_of({0.6, 0.9, 0.5, kMissing, 0.4});
  runs[2].images = images_of({0.5, 0.6, 0.5, 0.1, 0.7});
  std::swap(runs[2].images[1], runs[2].images[4]);
  EXPECT_EQ(most_different(runs, 2), (std::vector<std::vector<std::size_t>>{{1, 1, 4}, {4, 4, 1}}));
  EXPECT_EQ(most_different(runs, 9).size(), 3u) << "one has no score in a run, one has the same in all";
}

std::vector<ReportData> typical_runs(std::size_t number) {
  std::vector<ReportData> runs;
  for (std::size_t r = 0; r < number; ++r) {
    runs.push_back(typical_data(static_cast<int>(3 + 4 * r), 20));
    runs.back().run = "run <" + std::to_string(r) + ">";
    for (auto& image : runs.back().images)
      image.jaccard = std::min(1.0, image.jaccard * (1 + 0.02 * static_cast<double>(r)));
  }
  return runs;
}

std::vector<ReportData> runs_without_anything() {
  std::vector<ReportData> runs = typical_runs(2);
  runs[1] = {.run = "empty"};
  return runs;
}

std::vector<ReportData> runs_with_nothing_known() {
  std::vector<ReportData> runs = typical_runs(3);
  for (auto& run : runs) {
    for (auto& row : run.epochs) row = {.epoch = row.epoch};
    for (auto& image : run.images) image.jaccard = image.lesion_area_share = kMissing;
    for (auto& metric : run.metrics) metric.mean = kMissing;
  }
  return runs;
}

void expect_sound(const std::vector<ReportData>& runs) {
  const std::string html = render_comparison(runs);
  const Page page(html);
  EXPECT_EQ(page.problem, "");
  for (const auto& address : page.addresses) EXPECT_TRUE(address.starts_with("data:") || address.starts_with("#"));
  for (const char* word : {"://", "url(", "@import", "<script"}) EXPECT_EQ(occurrences(html, word), 0u) << word;
  EXPECT_EQ(occurrences(html, "Not a medical device."), 1u);
  EXPECT_EQ(html, render_comparison(runs));
}

TEST(ComparisonPage, IsSoundForTwoToSixRuns) {
  for (std::size_t number = 2; number <= kMostRuns; ++number) expect_sound(typical_runs(number));
  EXPECT_THROW(render_comparison(typical_runs(1)), Error);
  EXPECT_THROW(render_comparison(typical_runs(7)), Error);
}

TEST(ComparisonPage, IsSoundWhereRunsHaveNothingToShow) {
  expect_sound(runs_without_anything());
  expect_sound(runs_with_nothing_known());
  expect_sound({ReportData{.run = "a"}, ReportData{.run = "b"}});
}

TEST(ComparisonPage, SaysWhatTheIntervalAllows) {
  auto runs = typical_runs(3);
  for (auto& image : runs[1].images) image.jaccard = 0;
  runs[2].images = runs[0].images;
  const std::string html = render_comparison(runs);
  EXPECT_EQ(occurrences(html, "<strong>lower</strong>: the interval lies below 0"), 1u);
  EXPECT_EQ(occurrences(html, "not told apart: the interval holds 0"), 1u);
  EXPECT_EQ(occurrences(html, "<strong>higher</strong>"), 0u);
}

TEST(ComparisonPage, DrawsPairsOnlyForTwoRuns) {
  EXPECT_EQ(occurrences(render_comparison(typical_runs(2)), "Photograph by photograph</h3>"), 1u);
  EXPECT_EQ(occurrences(render_comparison(typical_runs(3)), "Photograph by photograph</h3>"), 0u);
}

TEST(ReachedFigure, FallsFromAllPhotographsToNone) {
  std::vector<ReportData> runs = typical_runs(2);
  runs[0].images = images_of({0.25, 0.75});
  runs[1].images.clear();
  const Figure figure = reached_figure(runs);
  ASSERT_EQ(figure.legend.size(), 1u);
  // From (0, 1) over (0.25, 1), (0.25, 0.5) and (0.75, 0.5) to (0.75, 0), in the frame's 50 to 538 and 244 to 46.
  EXPECT_NE(figure.svg.find("M50 46L172 46"), std::string::npos) << figure.svg;
  EXPECT_NE(figure.svg.find("416 244"), std::string::npos) << figure.svg;
}

}  // namespace
}  // namespace dermatome::report

// Charts: what is drawn, and what is left out.
#include "tools/report/charts.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/report/support.h"

namespace dermatome::report {
namespace {

using testing::occurrences;
using testing::typical_data;

TEST(ReportCharts, UnknownValuesBreakTheLine) {
  ReportData data = typical_data(9, 0);
  EXPECT_EQ(occurrences(loss_figure(data).svg, "class=\"line validation\""), 1u);
  data.epochs[4].validation_loss = kMissing;
  data.epochs[7].validation_loss = std::numeric_limits<double>::infinity();
  const std::string svg = loss_figure(data).svg;
  EXPECT_EQ(occurrences(svg, "class=\"line validation\""), 2u);
  EXPECT_EQ(occurrences(svg, "class=\"dot validation\""), 1u) << "the epoch between the gaps and the end";
  EXPECT_EQ(occurrences(svg, "class=\"line train\""), 1u);
}

TEST(ReportCharts, ACurveWithoutValuesHasNoLegend) {
  ReportData data = typical_data(5, 0);
  for (auto& row : data.epochs) row.train_jaccard = kMissing;
  const Figure figure = jaccard_figure(data);
  EXPECT_EQ(figure.legend.size(), 2u);
  EXPECT_EQ(occurrences(figure.svg, "train"), 0u);
}

TEST(ReportCharts, StagesAreMarkedWhereThereAreSeveral) {
  ReportData data = typical_data(12, 0);
  EXPECT_EQ(occurrences(loss_figure(data).svg, "stage-line"), 1u);
  EXPECT_EQ(occurrences(loss_figure(data).svg, ">256 px</text>"), 1u);
  EXPECT_EQ(occurrences(learning_rate_figure(data).svg, "stage-line"), 1u);
  data.stages[1].first_step.reset();
  EXPECT_EQ(occurrences(learning_rate_figure(data).svg, "stage-line"), 0u);
  data.stages.resize(1);
  EXPECT_EQ(occurrences(loss_figure(data).svg, "stage-line"), 0u);
}

TEST(ReportCharts, StageNamesGiveWayToNumbersWhereTheyDoNotFit) {
  ReportData data = typical_data(12, 0);
  data.stages[0].name = "a name much longer than three epochs of the axis are wide";
  const std::string svg = loss_figure(data).svg;
  EXPECT_EQ(occurrences(svg, "a name much longer"), 0u);
  EXPECT_EQ(occurrences(svg, "class=\"stage-name\""), 2u);
  EXPECT_EQ(occurrences(svg, "text-anchor=\"start\">2</text>"), 1u);
}

TEST(ReportCharts, StagesThatHaveNotBegunTakeNoRoom) {
  ReportData data = typical_data(12, 0);
  data.stages.push_back({.name = "512 px", .first_epoch = 40, .first_step = 4000});
  const std::string svg = loss_figure(data).svg;
  EXPECT_EQ(occurrences(svg, "512 px"), 0u);
  data.stages.back().first_step.reset();
  EXPECT_EQ(occurrences(learning_rate_figure(data).svg, "stage-line"), 1u) << "the earlier stages keep their lines";
  data.stages.back().first_step = kMissing;
  EXPECT_EQ(occurrences(learning_rate_figure(data).svg, "stage-line"), 1u);
  EXPECT_EQ(occurrences(svg, ">256 px</text>"), 1u);
}

TEST(ReportCharts, LossTurnsLogarithmicWhereTheFirstEpochsDwarfTheLast) {
  ReportData data = typical_data(5, 0);
  EXPECT_EQ(occurrences(loss_figure(data).svg, "log scale"), 0u);
  data.epochs[0].train_loss = 1e4;
  EXPECT_EQ(occurrences(loss_figure(data).svg, "log scale"), 1u);
  data.epochs[1].train_loss = -1;
  EXPECT_EQ(occurrences(loss_figure(data).svg, "log scale"), 0u) << "a loss below 0 has no logarithm";
}

TEST(ReportCharts, LearningRatesOfEpochsStandInForThoseOfSteps) {
  ReportData data = typical_data(5, 0);
  EXPECT_NE(learning_rate_figure(data).svg.find(">step</text>"), std::string::npos);
  data.learning_rates.clear();
  EXPECT_NE(learning_rate_figure(data).svg.find(">epoch</text>"), std::string::npos);
}

TEST(ReportCharts, LongSchedulesAreThinnedButKeepTheirPeak) {
  ReportData data;
  for (int i = 0; i < 200'000; ++i) data.learning_rates.push_back({static_cast<double>(i), i == 77'777 ? 0.004 : 1e-4});
  const std::string svg = learning_rate_figure(data).svg;
  const std::size_t begin = svg.find("class=\"line rate\"");
  const std::string path = svg.substr(begin, svg.find("/>", begin) - begin);
  EXPECT_LT(path.size(), 30'000u);
  const Frame frame;
  EXPECT_NE(path.find(" " + coordinate(frame.top) + "L"), std::string::npos) << "the upper end of the axis is 0.004";
}

TEST(ReportCharts, BestEpochIsTheEarliestOfTheHighest) {
  ReportData data = typical_data(4, 0);
  data.epochs[0].validation_jaccard = kMissing;
  data.epochs[1].validation_jaccard = 0.9;
  data.epochs[2].validation_jaccard = 0.9;
  data.epochs[3].validation_jaccard = 0.8;
  EXPECT_EQ(best_epoch(data), &data.epochs[1]);
  EXPECT_EQ(best_epoch(ReportData()), nullptr);
  data.best_by = &EpochRow::validation_dice;
  EXPECT_EQ(best_epoch(data), nullptr);
  data.epochs[3].validation_dice = 0.9;
  EXPECT_EQ(best_epoch(data), &data.epochs[3]);
  EXPECT_EQ(best_by_name(data), "Dice");
}

TEST(ReportCharts, HistogramCountsEveryPhotographOnce) {
  std::vector<ReportImage> images;
  for (const double jaccard : {0.0, 0.05, 0.649, 0.65, 0.97, 1.0, kMissing}) images.push_back({.jaccard = jaccard});
  const Figure figure = jaccard_histogram(images);
  EXPECT_EQ(occurrences(figure.svg, "0.00 to 0.05: 1 photograph<"), 1u);
  EXPECT_EQ(occurrences(figure.svg, "0.05 to 0.10: 1 photograph<"), 1u);
  EXPECT_EQ(occurrences(figure.svg, "0.60 to 0.65: 1 photograph<"), 1u);
  EXPECT_EQ(occurrences(figure.svg, "0.65 to 0.70: 1 photograph<"), 1u);
  EXPECT_EQ(occurrences(figure.svg, "0.95 to 1.00: 2 photographs<"), 1u);
  EXPECT_EQ(occurrences(figure.svg, "bar missed"), 3u);
  EXPECT_EQ(occurrences(figure.svg, "bar found"), 2u);
  EXPECT_NE(figure.caption.find("Below 0.65: 3 of 6 photographs."), std::string::npos);
  EXPECT_NE(figure.caption.find("1 photograph without a score left out."), std::string::npos);
}

TEST(ReportCharts, ScatterLeavesOutWhatHasNoLogarithm) {
  std::vector<ReportImage> images = {{.id = "a", .jaccard = 0.9, .lesion_area_share = 0.02},
                                     {.id = "b", .jaccard = 1.0, .lesion_area_share = 0},
                                     {.id = "c", .jaccard = 0.5, .lesion_area_share = kMissing}};
  const Figure figure = area_scatter(images);
  EXPECT_EQ(occurrences(figure.svg, "class=\"point"), 1u);
  EXPECT_NE(figure.caption.find("2 photographs"), std::string::npos);
}

TEST(ReportCharts, ScatterShowsTheMeanOfEachQuarterOfTheSizes) {
  std::vector<ReportImage> images;
  for (int i = 0; i < 40; ++i) images.push_back({.jaccard = i < 10 ? 0.5 : 0.9, .lesion_area_share = 0.01 * (i + 1)});
  const Figure figure = area_scatter(images);
  EXPECT_EQ(occurrences(figure.svg, "class=\"quarter\""), 4u);
  EXPECT_NE(figure.caption.find("0.50, 0.90, 0.90, 0.90"), std::string::npos);
  images.resize(5);
  EXPECT_EQ(occurrences(area_scatter(images).svg, "class=\"quarter\""), 0u);
}

TEST(ReportCharts, MetricAxisHoldsAllIntervals) {
  const Axis axis =
      metric_axis({{"Jaccard index", 0.8, 0.69, 0.85}, {"loss", 3.0, 2.0, 4.0}, {"Dice", kMissing, {}, {}}});
  EXPECT_DOUBLE_EQ(axis.range.low, 0.6);
  EXPECT_DOUBLE_EQ(axis.range.high, 1);
  EXPECT_TRUE(interval_drawing({"loss", 3.0, 2.0, 4.0}, axis, 100, 20).empty());
  EXPECT_FALSE(interval_drawing({"Jaccard index", 0.8, 0.69, 0.85}, axis, 100, 20).empty());
}

}  // namespace
}  // namespace dermatome::report

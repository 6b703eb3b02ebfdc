// Which photographs a report shows.
#include "tools/report/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace dermatome::report {
namespace {

using Indices = std::vector<std::size_t>;

std::vector<ReportImage> images_of(const std::vector<double>& jaccards) {
  std::vector<ReportImage> images;
  for (std::size_t i = 0; i < jaccards.size(); ++i) {
    images.push_back({.id = "photograph " + std::to_string(i), .jaccard = jaccards[i]});
  }
  return images;
}

// 0.00, 0.01, ... in an order that is neither rising nor falling.
std::vector<double> stirred(std::size_t number) {
  std::vector<double> values;
  for (std::size_t i = 0; i < number; ++i) values.push_back(static_cast<double>(i * 37 % number) / 100);
  return values;
}

std::vector<double> values_at(const std::vector<double>& values, const Indices& chosen) {
  std::vector<double> result;
  for (const std::size_t i : chosen) result.push_back(values[i]);
  return result;
}

TEST(ChoosePictures, BestFallAndWorstRise) {
  const auto values = stirred(100);
  const auto choice = choose_pictures(images_of(values));
  EXPECT_EQ(values_at(values, choice.best), (std::vector<double>{0.99, 0.98, 0.97, 0.96, 0.95, 0.94}));
  EXPECT_EQ(values_at(values, choice.worst), (std::vector<double>{0, 0.01, 0.02, 0.03, 0.04, 0.05}));
}

TEST(ChoosePictures, OthersAreSpreadOverTheRanksBetween) {
  const auto values = stirred(100);
  const auto others = values_at(values, choose_pictures(images_of(values)).others);
  ASSERT_EQ(others.size(), kOtherPictures);
  EXPECT_TRUE(std::is_sorted(others.rbegin(), others.rend()));
  EXPECT_LT(others.front(), 0.94);
  EXPECT_GT(others.back(), 0.05);
  EXPECT_NEAR(others.front() + others.back(), 0.99, 0.011) << "as far from the best as from the worst";
  for (std::size_t i = 1; i < others.size(); ++i) EXPECT_NEAR(others[i - 1] - others[i], 88.0 / 1200, 0.011);
}

TEST(ChoosePictures, NoPhotographComesTwice) {
  for (std::size_t number = 0; number < 40; ++number) {
    const auto values = stirred(number);
    const auto choice = choose_pictures(images_of(values));
    std::set<std::size_t> all;
    for (const auto* group : {&choice.best, &choice.worst, &choice.others}) all.insert(group->begin(), group->end());
    const std::size_t chosen = choice.best.size() + choice.worst.size() + choice.others.size();
    EXPECT_EQ(all.size(), chosen) << number;
    EXPECT_EQ(chosen, std::min<std::size_t>(number, 24)) << number;
  }
}

TEST(ChoosePictures, FewPhotographsAreSharedOut) {
  EXPECT_EQ(choose_pictures(images_of({0.5})).best, Indices{0});
  const auto three = choose_pictures(images_of({0.2, 0.9, 0.5}));
  EXPECT_EQ(three.best, (Indices{1, 2}));
  EXPECT_EQ(three.worst, Indices{0});
  EXPECT_TRUE(three.others.empty());
}

TEST(ChoosePictures, PhotographsWithoutAJaccardAreLeftOut) {
  const auto choice = choose_pictures(images_of({kMissing, 0.4, kMissing}));
  EXPECT_EQ(choice.best, Indices{1});
  EXPECT_TRUE(choice.worst.empty());
}

TEST(ChoosePictures, EqualsAreOrderedByIdWhereverTheyStand) {
  std::vector<ReportImage> images = images_of({0.5, 0.5, 0.5, 0.5});
  std::reverse(images.begin(), images.end());
  const auto choice = choose_pictures(images);
  EXPECT_EQ(images[choice.best[0]].id, "photograph 0");
  EXPECT_EQ(images[choice.best[1]].id, "photograph 1");
  EXPECT_EQ(images[choice.worst[0]].id, "photograph 3");
}

}  // namespace
}  // namespace dermatome::report

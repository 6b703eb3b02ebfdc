// Folds: every image validates once, groups stay whole, and the test part is in none.
#include "data/folds.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using Ids = std::vector<std::string>;

Ids numbered(int count) {
  Ids ids;
  for (int i = 0; i < count; ++i) ids.push_back(fmt::format("ISIC_{:07}", i));
  return ids;
}

std::vector<std::size_t> sizes_of(const std::vector<Fold>& folds, std::size_t count) {
  std::vector<std::size_t> sizes(count + 1);  // the last: for the test
  for (const auto& fold : folds) ++sizes[fold.value_or(count)];
  return sizes;
}

TEST(Folds, AreOfEqualSizeBehindTheTestPart) {
  const Ids ids = numbered(101);
  const auto folds = split_into_folds(ids, 3, 0.1, 7);
  EXPECT_EQ(sizes_of(folds, 3), (std::vector<std::size_t>{31, 30, 30, 10}));
  const auto parts = split_by_share(ids, {.validation = 0, .test = 0.1}, 7);
  for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(!folds[i], parts[i] == Part::test) << i;
  EXPECT_EQ(sizes_of(split_into_folds(ids, 5, 0, 7), 5).back(), 0u);
}

TEST(Folds, DependOnSeedAndIdsButNotOnTheirOrder) {
  const Ids ids = numbered(40);
  const auto folds = split_into_folds(ids, 3, 0.2, 9);
  EXPECT_EQ(folds, split_into_folds(ids, 3, 0.2, 9));
  EXPECT_NE(folds, split_into_folds(ids, 3, 0.2, 10));
  auto reversed = split_into_folds(Ids(ids.rbegin(), ids.rend()), 3, 0.2, 9);
  std::reverse(reversed.begin(), reversed.end());
  EXPECT_EQ(folds, reversed);
}

TEST(Folds, KeepGroupsTogether) {
  const Ids ids = numbered(60);
  GroupTable table{.columns = {"patient_id"}, .labels = {{}}, .named = 60};
  for (std::size_t i = 0; i < ids.size(); ++i) table.labels[0].push_back(i < 20 ? "a" : fmt::format("p{}", i / 3));
  const Groups groups = make_groups(ids, table, {});
  const auto folds = split_into_folds(ids, 3, 0.2, 4, groups);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (groups.of[i] == groups.of[j]) EXPECT_EQ(folds[i], folds[j]) << ids[i] << ' ' << ids[j];
    }
  }
  const auto sizes = sizes_of(folds, 3);
  EXPECT_EQ(*std::max_element(sizes.begin(), sizes.begin() + 3), 20u) << "the large group alone fills a fold";
}

TEST(Folds, EachImageValidatesInOneFoldAndIsTrainedOnInTheOthers) {
  const auto folds = split_into_folds(numbered(20), 4, 0.1, 3);
  for (std::size_t i = 0; i < folds.size(); ++i) {
    std::size_t validates = 0;
    std::size_t trained = 0;
    for (std::size_t fold = 0; fold < 4; ++fold) {
      const auto part = parts_of_fold(folds, fold)[i];
      validates += part == Part::validation;
      trained += part == Part::train;
    }
    EXPECT_EQ(validates, folds[i] ? 1u : 0u);
    EXPECT_EQ(trained, folds[i] ? 3u : 0u);
  }
}

TEST(Folds, AreRefusedWhereOneWouldBeEmpty) {
  expect_error([] { split_into_folds(numbered(3), 4, 0, 1); }, {"4 folds need as many photographs", "there are 3"});
}

TEST(Folds, ComeBackFromTheirFile) {
  const TemporaryFolder folder;
  const Ids ids = numbered(9);
  const GroupTable table{.columns = {"group"}, .labels = {{"a", "a", "", "", "", "", "", "", ""}}, .named = 2};
  const Groups groups = make_groups(ids, table, {});
  const auto folds = split_into_folds(ids, 3, 0.2, 2, groups);
  for (const auto& with : {groups, Groups{}}) {
    write_folds_csv(folder / "folds.csv", ids, folds, with);
    EXPECT_EQ(read_folds_csv(folder / "folds.csv", ids, 3), folds);
  }
  const auto csv = [&](const std::string& text) { return folder.add("bad.csv", std::string_view(text)); };
  expect_error([&] { read_folds_csv(csv("image\nx\n"), ids, 3); }, {"bad.csv:1", "'fold'"});
  expect_error([&] { read_folds_csv(csv("image,fold\nISIC_0000000,4\n"), ids, 3); },
               {"bad.csv:2: '4' is no fold (1 to 3, or test)"});
  expect_error([&] { read_folds_csv(csv("image,fold\nother,1\n"), ids, 3); }, {"bad.csv:2", "no image 'other'"});
  expect_error([&] { read_folds_csv(csv("image,fold\nISIC_0000000,1\n"), ids, 3); }, {"gives no fold to 8 of 9"});
}

}  // namespace
}  // namespace dermatome::data

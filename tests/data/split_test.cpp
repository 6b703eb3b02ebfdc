// Splits: reproducible, exact in number, and strict about the file they are read from.
#include "data/split.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/csv.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using Ids = std::vector<std::string>;
using Parts = std::vector<Part>;

Ids numbered(int count) {
  Ids ids;
  for (int i = 0; i < count; ++i) ids.push_back(fmt::format("ISIC_{:07}", i));
  return ids;
}

std::ptrdiff_t count_of(const Parts& parts, Part part) {
  return std::count(parts.begin(), parts.end(), part);
}

TEST(SplitByShare, GivesEachPartItsRoundedNumber) {
  const Ids ids = numbered(101);
  const Parts parts = split_by_share(ids, {.validation = 0.2, .test = 0.1}, 1);
  EXPECT_EQ(count_of(parts, Part::validation), 20);
  EXPECT_EQ(count_of(parts, Part::test), 10);
  EXPECT_EQ(count_of(parts, Part::train), 71);
  EXPECT_EQ(count_of(split_by_share(ids, {}, 1), Part::train), 101);
  EXPECT_EQ(count_of(split_by_share(numbered(10), {.test = 0.25}, 1), Part::test), 3);
}

TEST(SplitByShare, DependsOnSeedAndIdsButNotOnTheirOrder) {
  const Ids ids = numbered(50);
  const Shares shares{.validation = 0.2, .test = 0.2};
  const Parts parts = split_by_share(ids, shares, 9);
  EXPECT_EQ(parts, split_by_share(ids, shares, 9));
  EXPECT_NE(parts, split_by_share(ids, shares, 10));
  Parts reversed = split_by_share(Ids(ids.rbegin(), ids.rend()), shares, 9);
  std::reverse(reversed.begin(), reversed.end());
  EXPECT_EQ(parts, reversed);
}

TEST(SplitByShare, IsTheSameOnEveryMachine) {
  // Philox(2018) shuffles ten images to 0 9 5 8 2 7 6 3 1 4: the first is test, the next three are validation.
  const Parts parts = split_by_share(numbered(10), {.validation = 0.3, .test = 0.1}, 2018);
  Parts expected(10, Part::train);
  expected[0] = Part::test;
  expected[9] = expected[5] = expected[8] = Part::validation;
  EXPECT_EQ(parts, expected);
}

TEST(SplitByShare, RefusesSharesThatLeaveAPartEmpty) {
  const Ids ids = numbered(4);
  expect_error([&] { split_by_share(ids, {.validation = 0.1}, 1); }, {"validation", "0.1", "out of 4"});
  expect_error([&] { split_by_share(ids, {.validation = 0.5, .test = 0.5}, 1); }, {"nothing to train on"});
  expect_error([&] { split_by_share(ids, {.test = 1}, 1); }, {"test", "outside 0 to 1"});
  expect_error([&] { split_by_share(ids, {.test = -0.5}, 1); }, {"test", "-0.5"});
  expect_error([] { split_by_share(Ids{"a", "b", "a"}, {.test = 0.4}, 1); }, {"'a'", "twice"});
}

TEST(SplitCsv, ReadsBackWhatItWrote) {
  const TemporaryFolder folder;
  const Ids ids{"plain", "with, comma", "with \"quotes\"", " spaces "};
  const Parts parts{Part::train, Part::test, Part::validation, Part::train};
  write_split_csv(folder / "split.csv", ids, parts);
  EXPECT_EQ(read_split_csv(folder / "split.csv", ids), parts);
  const auto bytes = read_file(folder / "split.csv");
  EXPECT_TRUE(std::string(bytes.begin(), bytes.end()).starts_with("image,part\nplain,train\n"));
  expect_error([&] { write_split_csv(folder / "split.csv", ids, Parts{Part::train}); }, {"4 images", "1 parts"});
}

TEST(SplitCsv, TakesWhatSpreadsheetsMakeOfIt) {
  const TemporaryFolder folder;
  const auto file = folder.add("s.csv",
                               "\xEF\xBB\xBF"
                               "Part,comment,Image\r\n"
                               "test,,\"b\"\r\n"
                               "\r\n"
                               "validation,\"x,y\",images/a.jpg\r\n");
  EXPECT_EQ(read_split_csv(file, Ids{"a", "b"}), (Parts{Part::validation, Part::test}));
}

TEST(SplitCsv, NamesTheLineOfEachMistake) {
  const TemporaryFolder folder;
  const Ids ids{"a", "b"};
  const auto refused = [&](const std::string& text, const std::vector<std::string>& parts) {
    const auto file = folder.add("s.csv", text);
    expect_error([&] { read_split_csv(file, ids); }, parts);
  };
  refused("", {"s.csv is empty"});
  refused("a,train\nb,test\n", {"s.csv:1", "no column 'image'"});
  refused("image,fold\na,1\n", {"s.csv:1", "no column 'part'"});
  refused("image,part\na,train\n\nc,test\n", {"s.csv:4", "no image 'c'"});
  refused("image,part\na,training\n", {"s.csv:2", "'training'", "train, validation or test"});
  refused("image,part\na,train\nb,test\na,test\n", {"s.csv:4", "'a'", "line 2"});
  refused("image,part\na\n", {"s.csv:2", "1 field"});
  refused("image,part\na,train\n", {"s.csv", "no part to 1 of 2", "b"});
  expect_error([&] { read_split_csv(folder / "none.csv", ids); }, {"none.csv", "No such file"});
}

TEST(Part, IsNamedAndParsed) {
  for (const Part part : {Part::train, Part::validation, Part::test}) EXPECT_EQ(parse_part(name_of(part)), part);
  EXPECT_THROW(parse_part("val"), UsageError);
}

TEST(Csv, SplitsFields) {
  EXPECT_EQ(split_csv_line("a, b ,c"), (Ids{"a", "b", "c"}));
  EXPECT_EQ(split_csv_line("a,,"), (Ids{"a", "", ""}));
  EXPECT_EQ(split_csv_line("\" a \"\"b\"\", c\",d"), (Ids{" a \"b\", c", "d"}));
  EXPECT_EQ(split_csv_line("\"open"), Ids{"open"});
  EXPECT_EQ(csv_field("plain"), "plain");
  EXPECT_EQ(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
}

}  // namespace
}  // namespace dermatome::data

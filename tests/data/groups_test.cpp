// Who belongs together, by a table and by likeness, and splits that keep it so.
#include "data/groups.h"

#include <gtest/gtest.h>

#include "data/split.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using Ids = std::vector<std::string>;
using Parts = std::vector<Part>;

Ids numbered(std::size_t count) {
  Ids ids;
  for (std::size_t i = 0; i < count; ++i) ids.push_back(fmt::format("ISIC_{:07}", i));
  return ids;
}

TEST(GroupsCsv, ReadsTheArchivesMetadata) {
  const TemporaryFolder folder;
  const auto file = folder.add("m.csv",
                               "isic_id,age,Patient_ID,lesion_id\r\n"
                               "a,40,P1,L1\r\nb,40,P1,L2\r\nc,,,L2\r\nunknown,1,P9,L9\r\nfolder/d.jpg,2,,\r\n\r\n");
  const GroupTable table = read_groups_csv(file, Ids{"a", "b", "c", "d", "e"});
  EXPECT_EQ(table.columns, (Ids{"Patient_ID", "lesion_id"}));
  EXPECT_EQ(table.labels[0], (Ids{"P1", "P1", "", "", ""}));
  EXPECT_EQ(table.labels[1], (Ids{"L1", "L2", "L2", "", ""}));
  EXPECT_EQ(table.named, 3u);
  EXPECT_EQ(read_groups_csv(file, Ids{"a", "b"}, "age").labels[0], (Ids{"40", "40"}));
}

TEST(GroupsCsv, NamesWhatIsWrong) {
  const TemporaryFolder folder;
  const Ids ids{"a", "b"};
  const auto refused = [&](const std::string& text, const std::vector<std::string>& parts,
                           const std::string& column = "") {
    const auto file = folder.add("g.csv", text);
    expect_error([&] { read_groups_csv(file, ids, column); }, parts);
  };
  refused("", {"g.csv is empty"});
  refused("picture,patient_id\na,1\n", {"g.csv:1", "no column names the image", "isic_id"});
  refused("image,age\na,1\n", {"g.csv:1", "no column says what belongs together", "lesion_id", "--group-column"});
  refused("image,age\na,1\n", {"g.csv:1", "no column 'ages', only image, age"}, "ages");
  refused("image,patient_id\na,1\nb,2\na,3\n", {"g.csv:4", "'a'", "patient_id '3' here but '1'"});
  refused("image,patient_id\nx,1\n", {"g.csv names none of the 2 images", "'x'", "'a'"});
  expect_error([&] { read_groups_csv(folder / "none.csv", ids); }, {"none.csv", "No such file"});
}

TEST(MakeGroups, JoinsLabelsAndNearDuplicatesThroughOthers) {
  const Ids ids{"a", "b", "c", "d", "e", "f", "g"};
  const GroupTable table{.columns = {"patient", "lesion"},
                         .labels = {{"P1", "P1", "", "", "", "", "P7"}, {"", "L2", "L2", "", "", "", ""}},
                         .named = 4};
  const std::vector<NearDuplicate> duplicates{{.first = 2, .second = 3}, {.first = 4, .second = 5}};
  const Groups groups = make_groups(ids, table, duplicates);
  EXPECT_EQ(groups.of, (std::vector<std::size_t>{0, 0, 0, 0, 1, 1, 2}));
  EXPECT_EQ(groups.names, (Ids{"P1", "e", "P7"}));
  const Groups alone = make_groups(ids, {}, {});
  EXPECT_EQ(alone.count(), 7u);
  EXPECT_EQ(alone.names[3], "");
}

// Groups of 1, 2, 3, 4, 1, 2, 3, 4, ... images.
Groups uneven(std::size_t count) {
  Groups groups;
  std::size_t size = 1;
  while (groups.of.size() < count) {
    for (std::size_t i = 0; i < size && groups.of.size() < count; ++i) groups.of.push_back(groups.names.size());
    groups.names.push_back(fmt::format("g{}", groups.names.size()));
    size = size % 4 + 1;
  }
  return groups;
}

TEST(SplitByShare, KeepsGroupsWholeAndFillsTheParts) {
  const Ids ids = numbered(200);
  const Groups groups = uneven(200);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Parts parts = split_by_share(ids, {.validation = 0.2, .test = 0.1}, seed, groups);
    EXPECT_TRUE(torn_groups(groups, parts).empty());
    EXPECT_EQ(std::count(parts.begin(), parts.end(), Part::test), 20) << "single images fill what groups leave";
    EXPECT_EQ(std::count(parts.begin(), parts.end(), Part::validation), 40);
  }
}

TEST(SplitByShare, IsTheUngroupedSplitWhereNothingBelongsTogether) {
  const Ids ids = numbered(50);
  const Shares shares{.validation = 0.2, .test = 0.2};
  EXPECT_EQ(split_by_share(ids, shares, 7, make_groups(ids, {}, {})), split_by_share(ids, shares, 7));
}

TEST(SplitByShare, SaysWhereGroupsAreTooLarge) {
  const Ids ids = numbered(12);
  Groups groups{.of = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1}, .names = {"a", "b"}};
  expect_error([&] { split_by_share(ids, {.validation = 0.25}, 1, groups); },
               {"validation part", "3 images", "smallest group has 6"});
}

TEST(TornGroups, AreThoseInSeveralParts) {
  const Groups groups{.of = {0, 1, 0, 1, 2}, .names = {"a", "b", ""}};
  const Parts parts{Part::train, Part::train, Part::validation, Part::train, Part::test};
  EXPECT_EQ(torn_groups(groups, parts), std::vector<std::size_t>{0});
}

TEST(SplitCsv, HasAColumnOfGroupsAndReadsBack) {
  const TemporaryFolder folder;
  const Ids ids{"a", "b", "c"};
  const Parts parts{Part::train, Part::train, Part::test};
  write_split_csv(folder / "s.csv", ids, parts, {.of = {0, 0, 1}, .names = {"P1, left", ""}});
  const auto bytes = read_file(folder / "s.csv");
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()),
            "image,part,group\na,train,\"P1, left\"\nb,train,\"P1, left\"\nc,test,\n");
  EXPECT_EQ(read_split_csv(folder / "s.csv", ids), parts);
}

}  // namespace
}  // namespace dermatome::data

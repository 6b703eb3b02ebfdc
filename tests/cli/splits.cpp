// Splits from the command line: patients and near-duplicates stay together, and what is torn apart is told.
#include "data/codec.h"
#include "data/image/resize.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

using data::testing::disc;
using data::testing::random_image;

class Splits : public CommandLine {
 protected:
  Splits() {
    for (std::uint64_t i = 0; i < 10; ++i) add(fmt::format("p{}", i), picture(i));
  }

  static data::Image picture(std::uint64_t seed) { return data::resize(random_image(16, 12, 3, seed), 96, 72); }

  void add(const std::string& id, const data::Image& image) const {
    folder_.add("mine/images/" + id + ".png", data::encode_png(image));
    folder_.add("mine/masks/" + id + ".png", data::encode_png(disc(image.width, image.height, 20)));
  }

  Outcome train(std::vector<std::string> more) const {
    std::vector<std::string> arguments{"train",     "--data", "mine",     "--run",   "r",       "--overwrite",
                                       "--threads", "1",      "epochs=1", "size=32", "batch=4", "model=tiny.graph"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }

  // The part that split.csv gives an image.
  std::string part_of(const std::string& id) const {
    const std::string split = text_of(folder_ / "r/split.csv");
    const std::size_t start = split.find("\n" + id + ",") + id.size() + 2;
    return split.substr(start, split.find_first_of(",\n", start) - start);
  }
};

TEST_F(Splits, PatientsStayTogetherAndStandInTheSplit) {
  std::string table = "isic_id,patient_id\n";
  for (int i = 0; i < 10; ++i) table += fmt::format("p{},IP_{}\n", i, i / 2);
  folder_.add("patients.csv", table);
  for (const char* seed : {"1", "2", "3"}) {
    const Outcome outcome = train({"--groups", "patients.csv", "--validation-share", "0.4", "--seed", seed});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("patients.csv says of 10 of 10 photographs what belongs together (by patient_id)\n"),
              std::string::npos)
        << outcome.err;
    for (int i = 0; i < 10; i += 2) EXPECT_EQ(part_of(fmt::format("p{}", i)), part_of(fmt::format("p{}", i + 1)));
    EXPECT_TRUE(text_of(folder_ / "r/split.csv").starts_with("image,part,group\np0,"))
        << text_of(folder_ / "r/split.csv");
  }
}

TEST_F(Splits, NearDuplicatesStayTogether) {
  for (std::uint64_t i = 0; i < 3; ++i) add(fmt::format("q{}", i), data::resize(picture(i), 144, 108));
  for (const char* seed : {"1", "2", "3"}) {
    const Outcome outcome = train({"--validation-share", "0.3", "--seed", seed});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("3 pairs of photographs show the same picture: p0 and q0, p1 and q1, p2 and q2\n"),
              std::string::npos)
        << outcome.err;
    for (int i = 0; i < 3; ++i) EXPECT_EQ(part_of(fmt::format("p{}", i)), part_of(fmt::format("q{}", i)));
    EXPECT_NE(text_of(folder_ / "r/split.csv").find(",p0\n"), std::string::npos) << "the group's name";
  }
  const Outcome ignoring = train({"--near-duplicates", "ignore"});
  EXPECT_EQ(ignoring.err.find("same picture"), std::string::npos) << ignoring.err;
  EXPECT_TRUE(text_of(folder_ / "r/split.csv").starts_with("image,part\n"));
}

TEST_F(Splits, WhatAFileOrFolderTearsApartIsTold) {
  add("q0", data::resize(picture(0), 144, 108));
  std::string split = "image,part\nq0,validation\n";
  for (int i = 0; i < 10; ++i) split += fmt::format("p{},train\n", i);
  folder_.add("split.csv", split);
  const Outcome file = train({"--split", "split.csv"});
  EXPECT_EQ(file.code, 0) << file.err;
  EXPECT_NE(file.err.find("warning: 1 group(s) of photographs that belong together lie in several parts, so validation "
                          "scores will be too good: p0 (train) and q0 (validation)\n"),
            std::string::npos)
      << file.err;
  folder_.add("other/images/copy.png", data::encode_png(data::resize(picture(4), 144, 108)));
  folder_.add("other/masks/copy.png", data::encode_png(disc(144, 108, 20)));
  const Outcome folder = train({"--validation", "other"});
  EXPECT_NE(folder.err.find("p4 (train) and copy (validation)"), std::string::npos) << folder.err;
}

TEST_F(Splits, ACacheKeepsWhatNearDuplicatesAreFoundBy) {
  add("q0", data::resize(picture(0), 144, 108));
  ASSERT_EQ(train({"--cache", "c", "--seed", "4"}).code, 0);
  const std::string first = text_of(folder_ / "r/split.csv");
  ASSERT_EQ(train({"--cache", "c", "--seed", "4"}).code, 0);
  EXPECT_EQ(text_of(folder_ / "r/split.csv"), first);
  ASSERT_EQ(train({"--seed", "4"}).code, 0);
  EXPECT_EQ(text_of(folder_ / "r/split.csv"), first);
}

TEST_F(Splits, MistakesAreNamed) {
  folder_.add("g.csv", std::string_view("image,age\np0,3\n"));
  const auto refused = [&](int code, std::vector<std::string> more, const std::vector<std::string>& parts) {
    std::vector<std::string> arguments{"train", "--data", "mine", "--run", "n", "model=tiny.graph", "size=32"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_refused(code, arguments, parts);
  };
  refused(1, {"--groups", "nowhere.csv"}, {"nowhere.csv", "No such file"});
  refused(1, {"--groups", "g.csv"}, {"g.csv:1", "no column says what belongs together"});
  refused(1, {"--groups", "g.csv", "--group-column", "patient"}, {"g.csv:1: there is no column 'patient'"});
  refused(2, {"--group-column", "age"}, {"--group-column", "--groups"});
  refused(2, {"--near-duplicates", "apart"}, {"--near-duplicates", "together or ignore"});
  EXPECT_FALSE(fs::exists(folder_ / "n"));
}

}  // namespace
}  // namespace dermatome::cli

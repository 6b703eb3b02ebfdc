// `dermatome predict` from the command line: folders, tables, bad photographs among good ones, and its refusals.
#include "data/codec.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

class Predict : public CommandLine {
 protected:
  static std::vector<std::string> predicting(std::vector<std::string> more) {
    std::vector<std::string> arguments{"predict", "--run", "r", "--out", "p", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  void copy(std::size_t i, const fs::path& to) const {
    fs::create_directories((folder_.path() / to).parent_path());
    fs::copy_file(image(ids_[i]), folder_.path() / to);
  }
};

TEST_F(Predict, AsksForWhatIsMissing) {
  expect_exactly(2, {"predict", "--out", "p", kImages},
                 "which model? Give --run DIR (a folder that `dermatome train` made) or --weights FILE (a checkpoint)");
  expect_exactly(2, {"predict", "--run", "r", "x.jpg"}, "--out is required; `dermatome predict --help` explains");
  expect_exactly(
      2, {"predict", "--run", "r", "--out", "p"},
      "predict needs IMAGES (Photographs (JPEG, PNG, BMP or TIFF) and folders of them, which are mirrored with "
      "all folders below); `dermatome predict --help` explains");
  expect_exactly(1, {"predict", "--run", "nowhere", "--out", "p", kImages},
                 "the run folder nowhere does not exist (`dermatome train --run nowhere` would make it)");
  expect_exactly(2, {"predict", "--run", "r", "--out", "p", "--batch", "0", "x"},
                 "--batch must be a whole number from 1 to 1024, not '0'");
  expect_exactly(2, {"predict", "--run", "r", "--out", "p", "--threshold", "-1", "x"},
                 "--threshold must be a number from 0 to 1, or best, not '-1'");
  expect_exactly(2, {"predict", "--run", "r", "--out", "p", "--treshold", "0.4", "x"},
                 "predict has no option --treshold; did you mean --threshold?");
}

TEST_F(Predict, NamesPhotographsThatAreMissing) {
  train("r");
  expect_exactly(1, predicting({"nowhere.jpg"}), "nowhere.jpg does not exist");
  fs::create_directories(folder_ / "empty");
  expect_exactly(1, predicting({"empty"}), "no photographs (JPEG, PNG, BMP or TIFF files) in empty");
  EXPECT_FALSE(fs::exists(folder_ / "p"));
}

TEST_F(Predict, MirrorsFoldersAndWritesATable) {
  train("r");
  for (std::size_t i = 0; i < 3; ++i)
    copy(i, fs::path("in") / (i == 0 ? "" : "clinic") / (i == 2 ? "deep/x.jpg" : "x.jpg"));
  copy(3, "alone.jpg");
  const Outcome outcome = run(predicting({"--batch", "3", "in", "alone.jpg"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string table = text_of(folder_ / "p/predictions.csv");
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 5) << table;
  for (const char* name : {"x", "clinic/x", "clinic/deep/x", "alone"}) {
    EXPECT_TRUE(fs::exists(folder_ / (std::string("p/") + name + "_segmentation.png"))) << name;
    EXPECT_NE(table.find(fmt::format("{}.jpg,{}_segmentation.png,", name, name)), std::string::npos) << table;
  }
  EXPECT_TRUE(outcome.err.starts_with("4 masks in p")) << outcome.err;
  EXPECT_TRUE(outcome.err.ends_with("; areas, boxes and probabilities in p/predictions.csv\n")) << outcome.err;
}

TEST_F(Predict, KeepsTheTableOfEarlierCalls) {
  train("r");
  for (std::size_t i = 0; i < 3; ++i) copy(i, fmt::format("in/{}.jpg", i));
  ASSERT_EQ(run(predicting({"in/0.jpg", "in/1.jpg"})).code, 0);
  const std::string before = text_of(folder_ / "p/predictions.csv");
  const Outcome again = run(predicting({"--threshold", "1", "in/1.jpg", "in/2.jpg"}));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(again.err.ends_with(" in p/predictions.csv, with 1 of earlier calls\n")) << again.err;
  const std::string table = text_of(folder_ / "p/predictions.csv");
  const std::string first = before.substr(0, before.find("in/1.jpg"));  // the columns and the row of in/0.jpg
  EXPECT_TRUE(table.starts_with(first)) << table;
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 4) << table;
  for (const char* row : {"in/1.jpg,1_segmentation.png,", "in/2.jpg,2_segmentation.png,"})
    EXPECT_NE(table.find(row), std::string::npos) << table;
  EXPECT_EQ(table.find(before.substr(first.size())), std::string::npos) << "in/1.jpg has its new row: " << table;
}

TEST_F(Predict, ReplacesATableOfOtherColumnsAndSaysSo) {
  train("r");
  folder_.add("p/predictions.csv", std::string_view("image,area\nold.jpg,3\n"));
  const Outcome outcome = run(predicting({image(ids_[0]).string()}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.err.starts_with(
      "p/predictions.csv has other columns than this version writes and will be replaced\n1 mask in p"))
      << outcome.err;
  EXPECT_EQ(text_of(folder_ / "p/predictions.csv").find("old.jpg"), std::string::npos);
}

TEST_F(Predict, ASignalLeavesATableOfTheMasksThatAreThere) {
  train("r");
  constexpr std::size_t kPhotographs = 60;
  for (std::size_t i = 0; i < kPhotographs; ++i) copy(i % ids_.size(), fmt::format("in/{:02}.jpg", i));
  for (const auto& [number, code] : {std::pair{SIGINT, 130}, {SIGTERM, 143}}) {
    fs::remove_all(folder_ / "p");
    Process process(folder_.path(), predicting({"--batch", "1", "--overlay", "in"}));
    ASSERT_TRUE(process.wait_until([&] { return fs::exists(folder_ / "p/00_segmentation.png"); }));
    process.signal(number);
    const Outcome outcome = process.wait();
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_TRUE(outcome.err.ends_with("stopped before all 60 photographs were predicted\n")) << outcome.err;
    const std::string table = text_of(folder_ / "p/predictions.csv");
    std::ptrdiff_t masks = 0;
    for (std::size_t i = 0; i < kPhotographs; ++i) {
      const bool there = fs::exists(folder_ / fmt::format("p/{:02}_segmentation.png", i));
      EXPECT_EQ(there, table.find(fmt::format("in/{:02}.jpg,", i)) != std::string::npos) << i;
      masks += there ? 1 : 0;
    }
    EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), masks + 1) << table;
  }
}

TEST_F(Predict, AThresholdOfOneLeavesNoLesion) {
  train("r");
  const Outcome outcome = run(predicting({"--threshold", "1", kImages}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.err.starts_with("5 masks in p, 5 without a lesion; ")) << outcome.err;
  const auto mask = data::read_mask(folder_ / "p" / (ids_[0] + "_segmentation.png")).grey;
  EXPECT_EQ(std::count(mask.pixels.begin(), mask.pixels.end(), 0), static_cast<std::ptrdiff_t>(mask.pixels.size()));
  EXPECT_NE(text_of(folder_ / "p/predictions.csv").find(",1,0.000000,0,0,0,0,"), std::string::npos);
}

TEST_F(Predict, BadPhotographsAmongManyAreNamedAndTheRestIsDone) {
  train("r");
  for (std::size_t i = 0; i < 4; ++i) copy(i, fmt::format("in/{}.jpg", i));
  const std::string whole = text_of(image(ids_[0]));
  folder_.add("in/1.jpg", std::string_view(whole).substr(0, whole.size() / 2));
  folder_.add("in/3.jpg", std::string_view());
  const Outcome outcome = run(predicting({"--batch", "2", "in"}));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(outcome.err.ends_with(
      "\ndermatome: 2 of 4 photographs cannot be predicted:\n  in/1.jpg is cut short or damaged: its JPEG data "
      "end before the picture does\n  in/3.jpg is empty\n"))
      << outcome.err;
  for (const int i : {0, 2}) EXPECT_TRUE(fs::exists(folder_ / fmt::format("p/{}_segmentation.png", i)));
  const std::string table = text_of(folder_ / "p/predictions.csv");
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 3) << table;
}

TEST_F(Predict, RefusesNamesThatCollide) {
  train("r");
  copy(0, "a/x.jpg");
  copy(1, "b/x.jpg");
  expect_exactly(1, predicting({"a", "b"}),
                 "a/x.jpg and b/x.jpg would write the same mask x_segmentation.png; predict them into two folders");
  copy(2, "a/x_segmentation.png");
  expect_exactly(1, {"predict", "--run", "r", "--out", "a", "a"},
                 "the prediction of a/x.jpg would overwrite the mask " +
                     (fs::canonical(folder_.path()) / "a/x_segmentation.png").string() +
                     "; give another folder to --out");
  EXPECT_FALSE(fs::exists(folder_ / "p"));
}

TEST_F(Predict, LeavesOutTheMasksOfAFolder) {
  train("r");
  copy(0, "in/images/x.jpg");
  fs::create_directories(folder_ / "in/masks");
  fs::copy_file(mask(ids_[0]), folder_ / "in/masks/x.png");
  const Outcome own = run(predicting({"in"}));
  ASSERT_EQ(own.code, 0) << own.err;
  EXPECT_TRUE(
      own.err.starts_with("1 mask is left out: in/masks/x.png; to predict such a file, give it itself\n1 mask in p"))
      << own.err;
  EXPECT_FALSE(fs::exists(folder_ / "p/masks"));
  const Outcome challenge = run(predicting({"data"}));
  ASSERT_EQ(challenge.code, 0) << challenge.err;
  EXPECT_TRUE(challenge.err.starts_with("5 masks are left out: ")) << challenge.err;
  EXPECT_NE(challenge.err.find(" and 2 more; "), std::string::npos) << challenge.err;
  EXPECT_NE(challenge.err.find("5 masks in p"), std::string::npos) << challenge.err;
  expect_refused(1, predicting({kMasks}), {"all pictures given are masks by their names or folders"});
}

TEST_F(Predict, AFolderWithinThePhotographsMayBePredictedIntoAgain) {
  train("r");
  copy(0, "in/x.jpg");
  const std::vector<std::string> command{"predict",   "--run",     "r", "--out", "in/masks",
                                         "--overlay", "--threads", "1", "in"};
  for (int i = 0; i < 2; ++i) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(outcome.err.starts_with("1 mask in in/masks")) << outcome.err;
  }
}

TEST_F(Predict, NamesPlacesThatCannotBeWritten) {
  train("r");
  copy(0, "in/deep/x.jpg");
  folder_.add("p/deep", std::string_view("a file in the way"));
  expect_refused(1, predicting({"in"}), {"the folder p/deep cannot be made ("});
}

}  // namespace
}  // namespace dermatome::cli

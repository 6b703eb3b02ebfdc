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
                 "the prediction of a/x.jpg would overwrite the photograph " +
                     (fs::canonical(folder_.path()) / "a/x_segmentation.png").string() +
                     "; give another folder to --out");
  EXPECT_FALSE(fs::exists(folder_ / "p"));
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

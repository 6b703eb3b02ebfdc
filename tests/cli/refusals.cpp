// Every mistake ends with its exit code and one sentence that says what was wrong and where.
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

TEST_F(CommandLine, AsksForACommand) {
  expect_refused(2, {"predct"}, {"'predct'", "did you mean 'predict'?"});
  expect_refused(2, {"flatten"}, {"'flatten'", "train, evaluate, predict"});
  expect_refused(2, {"bench", "stp"}, {"'bench stp'", "did you mean 'step'?"});
  expect_refused(2, {"bench"}, {"dermatome: bench what?", "step"});
  expect_refused(2, {"info", "more"}, {"dermatome: info takes no further 'more'"});
}

TEST_F(CommandLine, RefusesWrongOptions) {
  expect_refused(2, {"train", "--dat", "data", "--run", "r"},
                 {"dermatome: train has no option --dat", "did you mean --data?"});
  expect_refused(2, {"train", "--data", "data", "--run", "r", "--ovrwrite"}, {"did you mean --overwrite?"});
  expect_refused(2, {"train", "--run", "r"}, {"which photographs?", "--data DIR", "--images DIR", "--masks DIR"});
  expect_refused(2, {"train", "--data", "data"}, {"--run is required"});
  expect_refused(2, {"train", "--data", "data", "--run", "r", "--seed", "-1"},
                 {"--seed must be a whole number from 0 to ", "not '-1'"});
  expect_refused(2, {"train", "--data", "data", "--run", "r", "--seed", "x"},
                 {"--seed must be a whole number", "not 'x'"});
  expect_refused(2, {"graph", "tiny.graph", "--size"}, {"--size needs a value: a whole number from 1 to 16384"});
  expect_refused(2, {"bench", "step", "--mode", "trian"}, {"--mode must be train or infer, not 'trian'"});
  expect_refused(2, {"bench", "step", "--seconds", "0"}, {"--seconds must be a number above 0, not '0'"});
  expect_refused(2, {"train", "--data", "d", "--run", "r", "--split", "s", "--test-share", "0.1"},
                 {"--split and --test-share cannot be given together"});
  expect_refused(2, {"graph", "tiny.graph", "--size", "0"}, {"--size"});
  expect_refused(2, {"predict", "--out", "p", kImages}, {"--run DIR", "--weights FILE"});
  expect_refused(2, {"evaluate", "--data", "data", "--run", "r", "--size", "-3"}, {"--size", "-3"});
}

TEST_F(CommandLine, RefusesWrongSettings) {
  expect_refused(2, training("r", {"epoch=1"}), {"'epoch'", "did you mean 'epochs'?"});
  expect_refused(2, training("r", {"batch=0"}), {"batch must be a whole number from 1"});
  expect_refused(2, training("r", {"frozen=[\"erly\"]"}), {"'erly'", "did you mean 'early'?"});
  expect_refused(2, training("r", {"frozen=[\"early\", \"late\"]"}), {"freezes every parameter group"});
  expect_refused(2, training("r", {"size=30"}), {"size=30", "divisible by 4", "28 or 32"});
  expect_refused(2, {"train", "--data", "data", "--run", "r", "size=48"}, {"size=48", "divisible by 32", "32 or 64"});
  expect_refused(2, {"train", "--data", "data", "--run", "r", "model=unet35"}, {"'unet35'", "did you mean 'unet34'?"});
  folder_.add("my.toml", std::string_view("seed = 1\n\n[[stage]]\nsice = 32\n"));
  expect_refused(2, {"train", "--data", "data", "--run", "r", "my.toml"},
                 {"my.toml:4: ", "'sice'", "did you mean 'size'?"});
  expect_refused(1, {"train", "--data", "data", "--run", "r", "nowhere.toml"}, {"nowhere.toml cannot be read"});
  expect_refused(2, {"config", "batch_norm=forzen"}, {"dermatome: batch_norm must be one of live, frozen"});
}

TEST_F(CommandLine, TellsMisspeltSettingsAndWrongValuesExactly) {
  expect_exactly(2, training("r", {"epoch=1"}), "there is no setting 'epoch'; did you mean 'epochs'?");
  expect_exactly(2, training("r", {"epochs=0"}), "epochs must be a whole number from 1 to 1000000");
  expect_exactly(2, training("r", {"epochs=two"}), "epochs must be a whole number from 1 to 1000000");
  expect_exactly(2, training("r", {"lr=-1"}),
                 "lr must be \"find\", a rate, or a table of rates by group, from 0 to 100");
  expect_exactly(2, training("r", {"augmentation.dihedral=1"}), "augmentation.dihedral must be true or false");
  folder_.add("my.toml", std::string_view("sed = 5\n\n[[stage]]\nsize = 32\n"));
  expect_exactly(2, {"train", "--data", "data", "--run", "r", "my.toml"},
                 "my.toml:1: there is no setting 'sed'; did you mean 'seed'?");
  EXPECT_FALSE(fs::exists(folder_ / "r"));
}

TEST_F(CommandLine, RefusesWhatThisBuildCannotDo) {
  expect_refused(2, {"train", "--data", "data", "--run", "r", "--threads", "-1"}, {"--threads -1"});
  expect_refused(2, training("r", {"--device", "cdu"}), {"cdu"});
  expect_refused(2, training("r", {"--type", "f64"}), {"--type f64", "f32 or bf16"});
  expect_refused(2, training("r", {"--type", "bf16", "--device", "reference"}), {"--type bf16", "reference"});
  expect_refused(2, training("r", {"--type", "f23"}), {"'f23'"});
  expect_refused(2, training("r", {"--disable-pass", "nothing"}), {"nothing"});
  EXPECT_FALSE(fs::exists(folder_ / "r")) << "a refused command line leaves no run folder";
}

TEST_F(CommandLine, RefusesWrongDataFolders) {
  expect_refused(1, {"train", "--data", "nowhere", "--run", "r"}, {"nowhere does not exist"});
  expect_refused(1, {"train", "--data", "tiny.graph", "--run", "r"}, {"tiny.graph is a file, not a folder"});
  fs::create_directories(folder_ / "empty");
  expect_refused(1, {"train", "--data", "empty", "--run", "r"},
                 {"empty holds no folder of an ISIC challenge", "ISIC-2017_Training_Data"});
  fs::remove(mask(ids_[1]));
  expect_refused(1, training("r"), {"1 of 5 photographs", ids_[1]});
  for (const auto& id : ids_) fs::remove(mask(id));
  expect_refused(1, training("r"), {"none of the 5 photographs", "_segmentation.png"});
}

TEST_F(CommandLine, NamesEveryBadFile) {
  data::write_file(mask(ids_[0]), data::testing::grey_png(data::testing::Bytes(12, 255), 4, 3));
  const std::string whole = text_of(image(ids_[1]));
  data::write_file(image(ids_[1]), std::string_view(whole).substr(0, whole.size() / 2));
  data::write_file(image(ids_[2]), std::string_view());
  data::write_file(image(ids_[3]), std::string_view("this is a text\n"));
  const std::string of = "data/ISIC-2017_Training_Data/";
  expect_listed(training("r", {"--validation-share", "0"}),
                "4 of 5 samples cannot be used; repair or remove them, or leave them out with --skip-bad:",
                {"data/ISIC-2017_Training_Part1_GroundTruth/" + ids_[0] + "_segmentation.png is 4x3 pixels but its " +
                     "photograph " + of + ids_[0] + ".jpg is 256x256",
                 of + ids_[1] + ".jpg is cut short or damaged: its JPEG data end before the picture does",
                 of + ids_[2] + ".jpg is empty", of + ids_[3] + ".jpg is a text, not a picture"});
}

TEST_F(CommandLine, NamesABadPhotographOfAPrediction) {
  train("r");
  const std::string whole = text_of(image(ids_[1]));
  folder_.add("bad/cut.jpg", std::string_view(whole).substr(0, whole.size() / 2));
  folder_.add("bad/empty.jpg", std::string_view());
  folder_.add("bad/text.jpg", std::string_view("this is a text\n"));
  for (const std::string name : {"bad/cut.jpg", "bad/empty.jpg", "bad/text.jpg"}) {
    expect_refused(1, {"predict", "--run", "r", "--out", "p", "--threads", "1", name}, {name});
  }
  expect_refused(1, {"predict", "--run", "r", "--out", "p", "nowhere.jpg"}, {"nowhere.jpg does not exist"});
  fs::create_directories(folder_ / "empty");
  expect_refused(1, {"predict", "--run", "r", "--out", "p", "empty"}, {"no photographs", "empty"});
}

TEST_F(CommandLine, AFailedStartCanBeRepeatedInTheSameFolder) {
  const std::string whole = text_of(image(ids_[1]));
  data::write_file(image(ids_[1]), std::string_view());
  expect_failed(training("r", {"epochs=1"}), {ids_[1]});
  data::write_file(image(ids_[1]), std::string_view(whole));
  EXPECT_EQ(run(training("r", {"epochs=1"})).code, 0);
}

TEST_F(CommandLine, DoesNotReplaceARunUnasked) {
  train("r");
  const std::string before = text_of(folder_ / "r/last.safetensors");
  expect_refused(2, training("r", {"seed=9", "epochs=1"}), {"r holds a run already", "--resume", "--overwrite"});
  EXPECT_EQ(text_of(folder_ / "r/last.safetensors"), before);
  EXPECT_EQ(run(training("r", {"seed=9", "epochs=1", "--overwrite"})).code, 0);
  EXPECT_NE(text_of(folder_ / "r/last.safetensors"), before);
  expect_refused(1, training("tiny.graph"), {"tiny.graph cannot be made"});
}

TEST_F(CommandLine, RefusesWrongWeights) {
  train("r");
  const auto predict = [](const std::string& weights) {
    return std::vector<std::string>{"predict", "--weights", weights, "--out", "p", kImages};
  };
  expect_refused(1, predict("nowhere.safetensors"), {"nowhere.safetensors does not exist"});
  expect_refused(1, predict("tiny.graph"), {"tiny.graph", "is no weight file"});
  expect_refused(1, predict("data"), {"data"});
  const std::string whole = text_of(folder_ / "r/last.safetensors");
  folder_.add("cut.safetensors", std::string_view(whole).substr(0, whole.size() - 100));
  expect_refused(1, predict("cut.safetensors"), {"cut.safetensors", "cut short"});
  std::string damaged = whole;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  folder_.add("damaged.safetensors", std::string_view(damaged));
  expect_refused(1, predict("damaged.safetensors"), {"damaged.safetensors", "checksum"});
  expect_refused(1, {"predict", "--run", "data", "--out", "p", kImages}, {"data holds no checkpoint"});
  EXPECT_FALSE(fs::exists(folder_ / "p"));
}

TEST_F(CommandLine, EvaluateAndReportRefuseWrongFolders) {
  train("r");
  expect_refused(1, {"evaluate", "--run", "r", "--data", "nowhere"}, {"nowhere does not exist"});
  expect_refused(1, {"evaluate", "--run", "r", "--data", kImages}, {"holds no folder of an ISIC challenge"});
  expect_refused(1, {"evaluate", "--run", "r", "--data", "data", "--split", "nowhere.csv"}, {"nowhere.csv"});
  expect_refused(2, {"evaluate", "--run", "r", "--data", "data", "--split", "r/split.csv", "--part", "tests"},
                 {"tests"});
  expect_refused(1, {"report", "data"}, {"data is not the folder of a run"});
  expect_refused(1, {"report", "nowhere"}, {"nowhere is not the folder of a run"});
  data::write_file(mask(ids_[0]), data::testing::grey_png(data::testing::Bytes(12, 255), 4, 3));
  expect_refused(1, {"evaluate", "--run", "r", "--data", "data", "--threads", "1"}, {ids_[0], "4x3"});
}

TEST_F(CommandLine, RefusesPlacesThatCannotBeWritten) {
  train("r");
  expect_refused(1, {"predict", "--run", "r", "--out", "tiny.graph", kImages}, {"tiny.graph cannot be made"});
  expect_refused(1, {"predict", "--run", "r", "--out", "tiny.graph/p", kImages}, {"tiny.graph/p cannot be made"});
  const Outcome evaluation =
      run({"evaluate", "--run", "r", "--data", "data", "--threads", "1", "--json", "nowhere/e.json"});
  EXPECT_EQ(evaluation.code, 1);
  EXPECT_NE(evaluation.err.find("\ndermatome: nowhere/e.json cannot be written"), std::string::npos) << evaluation.err;
  expect_refused(1, {"report", "r", "--threads", "1", "--out", "nowhere/r.html"}, {"nowhere/r.html"});
}

TEST_F(CommandLine, RefusesTwoPhotographsOfOneStem) {
  train("r");
  fs::create_directories(folder_ / "other");
  fs::copy_file(image(ids_[0]), folder_ / "other" / (ids_[0] + ".jpg"));
  expect_refused(1, {"predict", "--run", "r", "--out", "p", kImages, "other"},
                 {"other/" + ids_[0] + ".jpg", "_segmentation.png"});
  EXPECT_FALSE(fs::exists(folder_ / "p"));
}

TEST_F(CommandLine, PointsIntoAGraphText) {
  folder_.add("bad.graph", std::string_view("model m(image: 3 channels) {\n  c = conv3d(image, 4)\n  return c\n}\n"));
  expect_refused(2, {"graph", "bad.graph"}, {"bad.graph:2:", "conv3d"});
  expect_refused(2, {"train", "--data", "data", "--run", "r", "model=bad.graph", "size=32"},
                 {"bad.graph:2:", "conv3d"});
  EXPECT_FALSE(fs::exists(folder_ / "r"));
  expect_refused(1, {"graph", "nowhere.graph"}, {"nowhere.graph cannot be read"});
  expect_refused(2, {"graph", "uent34"}, {"'uent34'", "did you mean 'unet34'?"});
}

TEST_F(CommandLine, AnExplodingTrainingSaysSo) {
  // After one step each of the convolutions multiplies by about 100.
  folder_.add("wild.graph",
              std::string_view("block times(x) {\n  c = conv2d(x, 1, kernel=1)\n  return c\n}\n"
                               "model wild(image: 3 channels) {\n  y = image -> 24 * times()\n  return y\n}\n"));
  expect_failed({"train", "--data", "data", "--run", "r", "--threads", "1", "model=wild.graph", "size=32", "batch=1",
                 "epochs=9", "lr=100", "schedule=constant"},
                {"not a number any more at step ", "learning rate 100"});
}

}  // namespace
}  // namespace dermatome::cli

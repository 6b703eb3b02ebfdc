// `dermatome evaluate` from the command line: what it prints and writes, and every sentence of its refusals.
#include <nlohmann/json.hpp>

#include "data/codec.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

using Evaluate = CommandLine;

TEST_F(Evaluate, AsksWhatShallBeScored) {
  expect_exactly(2, {"evaluate"},
                 "what shall be scored? Give --run DIR and --data DIR (a trained model and photographs with masks), or "
                 "--predictions DIR and --truth DIR (masks and true masks)");
  expect_exactly(2, {"evaluate", "--run", "r"},
                 "which photographs? Give --data DIR (a folder of an ISIC challenge, or with the folders images and "
                 "masks) or --images DIR with --masks DIR");
  expect_exactly(2, {"evaluate", "--data", "data"},
                 "which model? Give --run DIR (a folder that `dermatome train` made) or --weights FILE (a checkpoint)");
  expect_exactly(2, {"evaluate", "--truth", kMasks}, "--truth needs --predictions DIR, the masks to score");
  expect_exactly(2, {"evaluate", "--predictions", kMasks}, "--predictions needs --truth DIR, the true masks");
  expect_exactly(
      2, {"evaluate", "--predictions", kMasks, "--truth", kMasks, "--run", "r"},
      "either a model is scored (--run or --weights, with --data), or masks are (--predictions with --truth), not "
      "both at once");
}

TEST_F(Evaluate, RefusesOptionsThatDoNotGoTogether) {
  const std::vector<std::string> masks{"evaluate", "--predictions", kMasks, "--truth", kMasks};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), masks.begin(), masks.end());
    return more;
  };
  const std::string only =
      "--size, --threshold, --tta, --fill-holes, --keep-largest, --min-area, --split, --part, --cache and --skip-bad "
      "are for a model; masks are scored as they are";
  expect_exactly(2, with({"--size", "64"}), only);
  expect_exactly(2, with({"--threshold", "0.4"}), only);
  expect_exactly(2, with({"--split", "s.csv"}), only);
  expect_exactly(2, with({"--json", "-", "--csv", "-"}),
                 "--json - and --csv - would mix on standard output; name a file");
  expect_exactly(2, with({"--part", "test"}), only);
  expect_exactly(2, with({"--cache", "c"}), only);
  expect_exactly(2, with({"--skip-bad"}), only);
  expect_exactly(2, with({"--fill-holes"}), only);
  expect_exactly(2, with({"--keep-largest"}), only);
  expect_exactly(2, with({"--min-area", "0.01"}), only);
  expect_exactly(2, {"evaluate", "--run", "r", "--weights", "w", "--data", "data"},
                 "--run and --weights cannot be given together");
  expect_exactly(2, {"evaluate", "--run", "r", "--data", "data", "--threshold", "1.5"},
                 "--threshold must be a number from 0 to 1, or best, not '1.5'");
  expect_exactly(2, {"evaluate", "--prediction", kMasks},
                 "evaluate has no option --prediction; did you mean --predictions?");
}

TEST_F(Evaluate, NamesFoldersThatAreMissing) {
  expect_exactly(1, {"evaluate", "--run", "nowhere", "--data", "data"},
                 "the run folder nowhere does not exist (`dermatome train --run nowhere` would make it)");
  expect_exactly(1, {"evaluate", "--run", "data", "--data", "data"},
                 "data holds no checkpoint (best.safetensors or last.safetensors): is it the folder of a run?");
  expect_exactly(1, {"evaluate", "--weights", "no.safetensors", "--data", "data"},
                 "the weights file no.safetensors does not exist");
  expect_exactly(1, {"evaluate", "--predictions", "nowhere", "--truth", kMasks}, "the folder nowhere does not exist");
  expect_exactly(1, {"evaluate", "--predictions", kMasks, "--truth", "nowhere"}, "the folder nowhere does not exist");
  fs::create_directories(folder_ / "empty");
  expect_exactly(1, {"evaluate", "--predictions", "empty", "--truth", kMasks},
                 "empty holds no predicted masks (PNG files such as ISIC_0000000_segmentation.png)");
  expect_exactly(1, {"evaluate", "--predictions", kMasks, "--truth", "tiny.graph"},
                 "tiny.graph is a file, not a folder");
}

TEST_F(Evaluate, NamesMasksThatDoNotMatch) {
  fs::copy(folder_ / kMasks, folder_ / "p");
  const auto prediction = [&](std::size_t i) { return folder_ / "p" / (ids_[i] + "_segmentation.png"); };
  const std::vector<std::string> command{"evaluate", "--predictions", "p", "--truth", kMasks};
  fs::remove(prediction(3));
  expect_exactly(1, command, std::string("1 of 5 true masks in ") + kMasks + " have no prediction in p: " + ids_[3]);
  data::write_png(prediction(3), data::make_image(4, 3, 1));
  const auto truth = data::probe(mask(ids_[3]));
  expect_exactly(
      1, command,
      fmt::format("p/{0}_segmentation.png is 4x3 pixels but the true mask {1}/{0}_segmentation.png is {2}x{3}", ids_[3],
                  kMasks, truth.width, truth.height));
  fs::copy(mask(ids_[3]), folder_ / "p" / (ids_[3] + ".png"));
  fs::copy(mask(ids_[3]), prediction(3), fs::copy_options::overwrite_existing);
  EXPECT_EQ(run(command).code, 0) << "a picture without a suffix among masks with one is a photograph";
  fs::rename(folder_ / "p" / (ids_[3] + ".png"), folder_ / "p" / (ids_[3] + "_mask.png"));
  expect_exactly(
      1, command,
      fmt::format("p/{0}_mask.png and p/{0}_segmentation.png are both predicted masks of {0}; leave one of them",
                  ids_[3]));
  for (const auto& id : ids_) fs::remove(folder_ / "p" / (id + "_segmentation.png"));
  fs::rename(folder_ / "p" / (ids_[3] + "_mask.png"), folder_ / "p/other_mask.png");
  expect_exactly(
      1, command,
      fmt::format(
          "no predicted mask in p has the name of a true mask in {}: {}_segmentation.png is sought, for example",
          kMasks, ids_[0]));
}

TEST_F(Evaluate, ScoresMasksWithoutAModel) {
  fs::copy(folder_ / kMasks, folder_ / "p");
  data::write_png(folder_ / "p/extra_segmentation.png", data::make_image(4, 3, 1));
  const Outcome outcome =
      run({"evaluate", "--predictions", "p", "--truth", kMasks, "--csv", "s.csv", "--json", "s.json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(
      outcome.err,
      std::string("1 predicted mask without a true mask is left out: extra_segmentation.png\n5 masks of p against ") +
          kMasks + "; means with 95 % intervals\n");
  EXPECT_TRUE(outcome.out.starts_with("jaccard              1.0000   (1.0000 to 1.0000)\nthresholded jaccard  1.0000"))
      << outcome.out;
  const auto json = nlohmann::json::parse(text_of(folder_ / "s.json"));
  EXPECT_EQ(json.at("predictions"), "p");
  EXPECT_EQ(json.at("images"), 5);
  const std::string csv = text_of(folder_ / "s.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 6);
  EXPECT_NE(csv.find("\n" + ids_[2] + ",1,1,1,1,1,1,"), std::string::npos) << csv;
  const Outcome csv_alone = run({"evaluate", "--predictions", "p", "--truth", kMasks, "--csv", "-"});
  EXPECT_EQ(csv_alone.out, csv);
}

std::string without_last_column(std::string csv) {
  for (auto at = csv.find('\n'); at != std::string::npos; at = csv.find('\n', at + 1)) {
    const auto comma = csv.rfind(',', at);
    csv.erase(comma, at - comma);
    at = comma;
  }
  return csv;
}

// The scores of a model are those of the masks that it writes, however photographs are prepared, from a cache or not.
TEST_F(Evaluate, AModelsScoresAreThoseOfItsMasks) {
  std::string scores_before;
  for (const auto& [run_folder, settings] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"r", {"epochs=1"}},
           {"q", {"epochs=1", "resize=pad", "colour_constancy=shades-of-gray", "loss=bce + 0.5 jaccard"}}}) {
    ASSERT_EQ(run(training(run_folder, settings)).code, 0);
    const std::string masks_folder = run_folder + "_masks";
    ASSERT_EQ(
        run({"predict", "--run", run_folder, "--out", masks_folder, "--threads", "1", "--threshold", "0.45", kImages})
            .code,
        0);
    const Outcome masks = run({"evaluate", "--predictions", masks_folder, "--truth", kMasks, "--csv", "-"});
    for (int i = 0; i < 2; ++i) {
      const Outcome model = run({"evaluate", "--run", run_folder, "--data", "data", "--threads", "1", "--threshold",
                                 "0.45", "--csv", "-", "--cache", "cache"});
      ASSERT_EQ(model.code, 0) << model.err;
      EXPECT_EQ(without_last_column(model.out), without_last_column(masks.out));
    }
    EXPECT_NE(masks.out, scores_before);
    scores_before = masks.out;
  }
}

TEST_F(Evaluate, WarnsOfPhotographsThatWereTrainedOn) {
  train("r");
  const std::string warning =
      "warning: 4 of these 5 photographs have names that the run was trained on, so the scores say little about new "
      "photographs\n";
  for (const auto& model : {std::vector<std::string>{"--run", "r"}, {"--weights", "r/last.safetensors"}}) {
    std::vector<std::string> command{"evaluate", "--data", "data", "--threads", "1", "--json", "e.json"};
    command.insert(command.end(), model.begin(), model.end());
    const Outcome outcome = run(command);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find(warning), std::string::npos) << outcome.err;
    EXPECT_EQ(nlohmann::json::parse(text_of(folder_ / "e.json")).at("trained_on"), 4);
  }
  const Outcome validation =
      run({"evaluate", "--run", "r", "--data", "data", "--threads", "1", "--split", "r/split.csv"});
  EXPECT_EQ(validation.code, 0) << validation.err;
  EXPECT_EQ(validation.err.find("warning"), std::string::npos) << validation.err;
}

TEST_F(Evaluate, LaysTheMembersOfAnEnsembleBesideIt) {
  train("a");
  ASSERT_EQ(run(training("b", {"epochs=1", "seed=7", "size=48"})).code, 0);
  const Outcome outcome = run({"evaluate", "--run", "a", "--run", "b", "--data", "data", "--threads", "1", "--tta",
                               "dihedral", "--json", "e.json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* row : {"\na            0.", "\nb            0.", "\nensemble     0.", "\n+ dihedral   0."}) {
    EXPECT_NE(outcome.out.find(row), std::string::npos) << row << " not in\n" << outcome.out;
  }
  EXPECT_NE(outcome.err.find("5 photographs have names that members of the ensemble were trained on"),
            std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.err.find("5 photographs, 32 and 48 px, "), std::string::npos) << outcome.err;
  const auto json = nlohmann::json::parse(text_of(folder_ / "e.json"));
  ASSERT_EQ(json.at("members").size(), 2u);
  EXPECT_EQ(json.at("members")[1].at("checkpoint"), "b/best.safetensors");
  EXPECT_EQ(json.at("members")[1].at("size"), 48);
  ASSERT_EQ(json.at("variants").size(), 4u);
  EXPECT_EQ(json.at("variants")[3].at("jaccard"), json.at("jaccard"));
  EXPECT_NE(json.at("variants")[0].at("jaccard"), json.at("variants")[1].at("jaccard"));

  ASSERT_EQ(
      run({"predict", "--run", "a", "--run", "b", "--tta", "dihedral", "--out", "p", "--threads", "1", kImages}).code,
      0);
  const Outcome masks = run({"evaluate", "--predictions", "p", "--truth", kMasks, "--json", "m.json"});
  ASSERT_EQ(masks.code, 0) << masks.err;
  EXPECT_EQ(nlohmann::json::parse(text_of(folder_ / "m.json")).at("jaccard"), json.at("jaccard"));
}

TEST_F(Evaluate, ScoresWhatIsAddedAtTestTimeOneRowEach) {
  train("a");
  const std::vector<std::string> command{"evaluate",       "--run",      "a",           "--data", "data",
                                         "--threads",      "1",          "--threshold", "best",   "--fill-holes",
                                         "--keep-largest", "--min-area", "0.01",        "--json", "e.json"};
  const Outcome outcome = run(command);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find(": on the validation part (1 photographs) its Jaccard is "), std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.err.find("; kept in a/threshold.json\n"), std::string::npos) << outcome.err;
  const auto json = nlohmann::json::parse(text_of(folder_ / "e.json"));
  std::vector<std::string> rows;
  for (const auto& row : json.at("variants")) rows.push_back(row.at("name"));
  const double threshold = json.at("threshold");
  std::vector<std::string> expected{"run"};
  if (threshold != 0.5) expected.push_back(fmt::format("+ threshold {}", threshold));
  const std::size_t unprocessed = expected.size() - 1;
  expected.insert(expected.end(), {"+ fill-holes", "+ min-area 0.01", "+ keep-largest"});
  EXPECT_EQ(rows, expected);
  std::vector<std::string> applied;
  for (const auto& row : json.at("variants")) applied.push_back(row.at("postprocessing"));
  EXPECT_EQ(applied[unprocessed], "");
  EXPECT_EQ(applied[unprocessed + 1], "fill-holes");
  EXPECT_EQ(applied[unprocessed + 2], "fill-holes, min-area 0.01");
  EXPECT_EQ(applied[unprocessed + 3], "fill-holes, min-area 0.01, keep-largest");
  EXPECT_EQ(json.at("postprocessing"), "fill-holes, min-area 0.01, keep-largest");

  // Later commands take what was found: they need none of the photographs that it was found on.
  const auto predict = [&](const std::string& out) {
    return run({"predict", "--run", "a", "--threshold", "best", "--fill-holes", "--keep-largest", "--min-area", "0.01",
                "--out", out, "--threads", "1", kImages});
  };
  fs::rename(folder_ / kMasks, folder_ / "truth");
  ASSERT_EQ(predict("p").code, 0);
  ASSERT_EQ(run({"evaluate", "--predictions", "p", "--truth", "truth", "--json", "m.json"}).code, 0);
  EXPECT_EQ(nlohmann::json::parse(text_of(folder_ / "m.json")).at("jaccard"), json.at("jaccard"));
  fs::remove(folder_ / "a/threshold.json");
  EXPECT_EQ(predict("q").code, 1);
}

TEST_F(Evaluate, RefusesARunTwice) {
  train("a");
  expect_exactly(2, {"evaluate", "--run", "a", "--run", "a/", "--data", "data"},
                 "a/ was given twice; an ensemble is of different runs");
  expect_exactly(2, {"evaluate", "--run", "a", "--data", "data", "--tta", "flip"},
                 "--tta must be none, flips, dihedral, not 'flip'");
  expect_exactly(2, {"evaluate", "--weights", "a/last.safetensors", "--data", "data", "--threshold", "best"},
                 "--threshold best needs --run: it is found on the photographs that a run validated on");
}

}  // namespace
}  // namespace dermatome::cli

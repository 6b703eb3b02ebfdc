// The whole way that the paper went, small: folds, their ensemble on a test
// part that none saw, test-time augmentation, the threshold of the validation
// parts, a submission, and the report.
#include <nlohmann/json.hpp>

#include "models/zip_archive.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

constexpr const char* kRecipe = R"(model = "tiny.graph"
seed = 3

[[stage]]
size = 16
batch = 2
epochs = 2
frozen = ["early"]
schedule = "use_clr"

[[stage]]
size = 32
batch = 2
epochs = 2
batch_norm = "frozen"
lr = { late = 1e-2, "*" = 1e-3 }
)";

using CrossValidation = CommandLine;

TEST_F(CrossValidation, GoesFromFoldsToSubmissionAndReport) {
  folder_.add("small.toml", std::string_view(kRecipe));
  const Outcome trained = run({"train", "--data", "data", "--run", "cv", "--folds", "3", "--test-share", "0.2",
                               "--threads", "1", "small.toml"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(trained.err.find("3 of 3 folds; "), std::string::npos) << trained.err;

  // On the test part nobody is warned, on all photographs everybody is.
  std::vector<std::string> evaluation{"evaluate", "--run", "cv",       "--data",      "data", "--threads",
                                      "1",        "--tta", "dihedral", "--threshold", "best", "--keep-largest",
                                      "--json",   "e.json"};
  const Outcome everywhere = run(evaluation);
  ASSERT_EQ(everywhere.code, 0) << everywhere.err;
  EXPECT_NE(everywhere.err.find("warning: 4 of these 5 photographs have names "
                                "that members of the ensemble were trained on"),
            std::string::npos)
      << everywhere.err;
  EXPECT_NE(everywhere.err.find(": on the validation parts (4 photographs) its Jaccard is "), std::string::npos)
      << everywhere.err;
  evaluation.insert(evaluation.end(), {"--split", "cv/fold1/split.csv", "--part", "test"});
  const Outcome test = run(evaluation);
  ASSERT_EQ(test.code, 0) << test.err;
  EXPECT_EQ(test.err.find("warning"), std::string::npos) << test.err;
  const auto json = nlohmann::json::parse(text_of(folder_ / "e.json"));
  EXPECT_EQ(json.at("images"), 1);
  EXPECT_EQ(json.at("members").size(), 3u);
  EXPECT_EQ(json.at("variants")[0].at("name"), "cv/fold1");
  EXPECT_EQ(json.at("variants")[3].at("name"), "ensemble");
  EXPECT_EQ(json.at("variants")[4].at("name"), "+ dihedral");
  EXPECT_EQ(json.at("variants").back().at("name"), "+ keep-largest");

  const Outcome submitted = run({"submit", "--run", "cv", "--images", kImages, "--out", "s.zip", "--threads", "1",
                                 "--tta", "dihedral", "--threshold", "best", "--keep-largest"});
  ASSERT_EQ(submitted.code, 0) << submitted.err;
  const std::string archive = text_of(folder_ / "s.zip");
  EXPECT_EQ(ZipArchive(std::as_bytes(std::span(archive.data(), archive.size())), "s.zip").names().size(), 5u);

  const Outcome report = run({"report", "cv", "--threads", "1"});
  ASSERT_EQ(report.code, 0) << report.err;
  EXPECT_TRUE(report.err.ends_with("report in cv/report.html\n")) << report.err;
  const std::string page = text_of(folder_ / "cv/report.html");
  for (const char* part : {"<section id=\"folds\">", "fold 3</th>", "standard deviation</th>",
                           "<section id=\"ensemble\">", "ensemble</th>", "1 of the test part, at their stored size"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part;
  }
}

// The preset itself but for size, batch, epochs and the network. A fold validates on two photographs at most, which are
// one batch and the same at every step: the loss that a sweep takes of it falls without the noise of augmented training
// batches, so that every first stage has a suggestion.
TEST_F(CrossValidation, ThePresetPaperGoesFromFoundRatesToAnEnsembleOfTheEpochsWithTheBestDice) {
  folder_.add("small.graph", std::string_view(kThreeGroups));
  ASSERT_EQ(run(training("w", {"model=small.graph", "epochs=1"})).code, 0);
  const Outcome trained = run({"train",   "--data",    "data",     "--run",
                               "cv",      "--folds",   "3",        "--test-share",
                               "0.2",     "--threads", "1",        "--weights",
                               "w",       "--preset",  "paper",    "model=small.graph",
                               "size=32", "batch=2",   "epochs=1", "find_loss=validation"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(trained.err.find("WARNING"), std::string::npos) << trained.err;
  EXPECT_NE(trained.err.find("best by dice: epoch "), std::string::npos) << trained.err;
  for (const char* fold : {"cv/fold1", "cv/fold2", "cv/fold3"}) {
    const std::string recipe = text_of(folder_ / fold / "resolved.toml");
    for (const char* line : {"best_by = \"dice\"", "mask_resize = \"nearest\"", "lr = \"find\"",
                             "frozen = [\"encoder.early\"]", "batch_norm = \"frozen\""}) {
      EXPECT_NE(recipe.find(line), std::string::npos) << line;
    }
    for (int stage = 1; stage <= 4; ++stage)
      EXPECT_TRUE(fs::exists(folder_ / fold / fmt::format("lr_find_stage{}.csv", stage))) << fold << ' ' << stage;
    EXPECT_TRUE(fs::exists(folder_ / fold / "best.safetensors"));
  }

  const auto evaluate = [&](const std::vector<std::string>& runs, const std::string& json) {
    std::vector<std::string> arguments{"evaluate",           "--data", "data", "--threads", "1", "--split",
                                       "cv/fold1/split.csv", "--part", "test", "--json",    json};
    for (const auto& folder : runs) arguments.insert(arguments.end(), {"--run", folder});
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(text_of(folder_ / json), nullptr, false);
  };
  const auto folds = evaluate({"cv"}, "folds.json");
  const auto runs = evaluate({"cv/fold1", "cv/fold2", "cv/fold3"}, "runs.json");
  ASSERT_TRUE(folds.is_object() && runs.is_object());
  EXPECT_EQ(folds.at("images"), 1);
  EXPECT_EQ(folds.at("members").size(), 3u);
  ASSERT_EQ(runs.at("variants").size(), 4u);
  EXPECT_EQ(runs.at("variants").back().at("name"), "ensemble");
  EXPECT_EQ(runs.at("jaccard"), folds.at("jaccard"));
  EXPECT_EQ(runs.at("dice"), folds.at("dice"));
}

TEST_F(CrossValidation, AReportWithoutATestPartSaysWhyTheEnsembleIsNotScored) {
  ASSERT_EQ(run(training("cv", {"--folds", "2", "epochs=1"})).code, 0);
  ASSERT_EQ(run({"report", "cv", "--threads", "1"}).code, 0);
  const std::string page = text_of(folder_ / "cv/report.html");
  EXPECT_NE(page.find("No test part was split off (--test-share)."), std::string::npos);
  EXPECT_EQ(page.find("<section id=\"ensemble\">"), std::string::npos);
}

}  // namespace
}  // namespace dermatome::cli

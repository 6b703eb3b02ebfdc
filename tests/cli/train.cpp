// What train says about a mistyped command line, word by word: these sentences are what most people see first.
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

TEST_F(CommandLine, PhotographsThatStayOnTheHostTrainToTheSameBits) {
  const std::vector<std::string> recipe{"epochs=2", "batch=3", "accumulate=2"};
  ASSERT_EQ(run(training("device", recipe)).code, 0);
  std::vector<std::string> on_host = training("host", recipe);
  on_host.insert(on_host.end(), {"--photographs", "host"});
  const Outcome outcome = run(on_host);
  EXPECT_NE(outcome.err.find("the photographs stay in host memory; a batch goes to cpu ahead of each step\n"),
            std::string::npos)
      << outcome.err;
  EXPECT_EQ(text_of(folder_ / "host/last.safetensors"), text_of(folder_ / "device/last.safetensors"));
  expect_refused(2, training("x", {"--photographs", "gpu"}), {"--photographs", "auto"});
}

TEST_F(CommandLine, TheBestEpochIsByTheScoreOfTheRecipe) {
  const Outcome outcome = run(training("d", {"epochs=2", "best_by=dice"}));
  EXPECT_NE(outcome.err.find("best by dice: epoch "), std::string::npos) << outcome.err;
  ASSERT_EQ(run({"report", "d"}).code, 0);
  EXPECT_NE(text_of(folder_ / "d/report.html").find("<dt>best validation Dice</dt>"), std::string::npos);
  expect_refused(2, training("x", {"best_by=iou"}), {"best_by", "jaccard, thresholded_jaccard, dice"});
  expect_refused(2, {"train", "--run", "d", "--resume", "best_by=jaccard"}, {"best_by"});
}

TEST_F(CommandLine, SaysWhatIsWrongWithTrainsSettingsWordByWord) {
  const auto with = [](const std::string& setting) { return training("r", {setting}); };
  expect_exactly(2, with("epoch=3"), "there is no setting 'epoch'; did you mean 'epochs'?");
  expect_exactly(2, with("epochs"), "'epochs' is neither a recipe file (.toml) nor an assignment key=value");
  expect_exactly(2, with("batch=0"), "batch must be a whole number from 1 to 65536");
  expect_exactly(2, with("size=big"), "size must be a whole number from 1 to 8192");
  expect_exactly(2, with("size=64.5"), "size must be a whole number from 1 to 8192");
  expect_exactly(2, with("lr=fast"), "lr must be \"find\", a rate, or a table of rates by group, from 0 to 100");
  expect_exactly(2, with("checkpoint_every=soon"),
                 "checkpoint_every must be a whole number of steps (0: only at the ends of epochs) or a time such as "
                 "\"10 minutes\"");
  expect_exactly(2, with("schedule=styr"),
                 "schedule must be one of use_clr, stlr, use_clr_beta, one_cycle, cosine, constant, not 'styr'; did "
                 "you mean 'stlr'?");
  folder_.add("my.toml", std::string_view("seed = 1\n\n[[stage]]\nsice = 32\n"));
  expect_exactly(2, {"train", "--data", "data", "--run", "r", "my.toml"},
                 "my.toml:4: there is no setting 'sice'; did you mean 'size'?");
  folder_.add("my.toml", std::string_view("seed = 1\n\n[[stage]]\nbatch = \"8\"\n"));
  expect_exactly(2, {"train", "--data", "data", "--run", "r", "my.toml"},
                 "my.toml:4: batch must be a whole number from 1 to 65536");
  EXPECT_FALSE(fs::exists(folder_ / "r"));
}

TEST_F(CommandLine, SaysWhatIsWrongWithTrainsFolderWordByWord) {
  expect_exactly(2, {"train", "--data", "data", "--run", "r", "--resum"},
                 "train has no option --resum; did you mean --resume?");
  expect_exactly(2, {"train", "--run", "r", "--resume"}, "there is no run to resume: r does not exist");
  expect_exactly(1, training("tiny.graph"), "the run folder tiny.graph cannot be made: it is a file");
  train("r");
  expect_exactly(2, training("r"),
                 "r holds a run already; go on with it (--resume), replace it (--overwrite), or take another folder");
}

}  // namespace
}  // namespace dermatome::cli

// Cross-validation from the command line: folds, their summary, going on where it stopped, and the ensemble of them.
#include <set>

#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

class FoldsCommand : public CommandLine {
 protected:
  static std::vector<std::string> folding(std::vector<std::string> more = {}) {
    auto arguments = training("cv", {"--folds", "3", "--test-share", "0.2", "epochs=2"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  std::string file(const std::string& name) const { return text_of(folder_ / "cv" / name); }

  // Ids of a part in a fold's split.
  std::set<std::string> part(int fold, const std::string& name) const {
    std::set<std::string> ids;
    const std::string split = file(fmt::format("fold{}/split.csv", fold));
    for (const auto& id : ids_) {
      if (split.find(fmt::format("\n{},{}", id, name)) != std::string::npos) ids.insert(id);
    }
    return ids;
  }
};

TEST_F(FoldsCommand, EveryPhotographValidatesInOneFoldAndTheTestPartInNone) {
  const Outcome outcome = run(folding());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("5 photographs in 3 folds of 2, 1, 1; 1 kept for a test\n"), std::string::npos)
      << outcome.err;
  std::set<std::string> validated;
  for (int fold = 1; fold <= 3; ++fold) {
    for (const auto& id : part(fold, "validation")) EXPECT_TRUE(validated.insert(id).second) << id;
    EXPECT_EQ(part(fold, "test"), part(1, "test"));
    EXPECT_EQ(part(fold, "train").size() + part(fold, "validation").size(), 4u);
  }
  EXPECT_EQ(validated.size(), 4u);
  EXPECT_EQ(part(1, "test").size(), 1u);
  EXPECT_FALSE(validated.contains(*part(1, "test").begin()));
  EXPECT_TRUE(
      outcome.out.starts_with("fold   epochs  best epoch     loss  jaccard  thresholded    dice\n1           2 "))
      << outcome.out;
  EXPECT_NE(outcome.out.find("\nmean "), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("\nstandard deviation "), std::string::npos) << outcome.out;
  const std::string summary = file("summary.csv");
  EXPECT_EQ(std::count(summary.begin(), summary.end(), '\n'), 6) << summary;
  EXPECT_TRUE(summary.starts_with("fold,epochs,best_epoch,loss,jaccard,thresholded_jaccard,dice\n1,2,")) << summary;
}

TEST_F(FoldsCommand, SingleFoldsMakeTheSameRunsAsAllInOneGo) {
  ASSERT_EQ(run(folding()).code, 0);
  fs::rename(folder_ / "cv", folder_ / "all");
  for (const char* fold : {"2", "1", "3"}) {
    const Outcome outcome = run(folding({"--fold", fold}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  for (int fold = 1; fold <= 3; ++fold) {
    const std::string name = fmt::format("fold{}/best.safetensors", fold);
    EXPECT_EQ(file(name), text_of(folder_ / "all" / name)) << name;
  }
  EXPECT_EQ(file("summary.csv"), text_of(folder_ / "all/summary.csv"));
}

TEST_F(FoldsCommand, ResumingGoesOnWithTheFoldThatWasStopped) {
  ASSERT_EQ(run(folding()).code, 0);
  fs::rename(folder_ / "cv", folder_ / "all");
  ASSERT_EQ(run(folding({"--fold", "1"})).code, 0);
  auto first_half = folding({"--fold", "2"});
  std::replace(first_half.begin(), first_half.end(), std::string("epochs=2"), std::string("epochs=1"));
  const Outcome other = run(first_half);
  EXPECT_EQ(other.code, 2);
  EXPECT_NE(other.err.find("the folds in cv were begun with other settings"), std::string::npos) << other.err;
  // Stopped in its second fold: a process that is told to end in between.
  Process process(folder_.path(), folding({"--fold", "2", "checkpoint_every=1"}));
  EXPECT_EQ(process.wait().code, 2) << "checkpoint_every is another setting too";
  const Outcome outcome = run({"train", "--run", "cv", "--resume", "--threads", "1"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("cv/fold1 is finished"), std::string::npos) << outcome.err;
  for (int fold = 1; fold <= 3; ++fold) {
    const std::string name = fmt::format("fold{}/best.safetensors", fold);
    EXPECT_EQ(file(name), text_of(folder_ / "all" / name)) << name;
    const std::string split = fmt::format("fold{}/split.csv", fold);
    EXPECT_EQ(file(split), text_of(folder_ / "all" / split)) << split;
  }
}

TEST_F(FoldsCommand, AStoppedFoldGoesOnAndTheOthersFollow) {
  auto command = folding({"checkpoint_every=1"});
  std::replace(command.begin(), command.end(), std::string("epochs=2"), std::string("epochs=400"));
  Process process(folder_.path(), command);
  ASSERT_TRUE(process.wait_until([&] { return text_of(folder_ / "cv/fold1/log.csv").size() > 200; }));
  process.signal(SIGINT);
  const Outcome stopped = process.wait();
  EXPECT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_FALSE(fs::exists(folder_ / "cv/fold2")) << "the stop ends all of it";
  expect_refused(1, {"evaluate", "--run", "cv", "--data", "data"},
                 {"cv is of 3 folds, and fold 2 has no checkpoint yet; `dermatome train --run cv --resume` goes on"});
  const std::string log = file("fold1/log.csv");
  const auto done = std::count(log.begin(), log.end(), '\n');  // and one line of names
  const Outcome outcome =
      run({"train", "--run", "cv", "--resume", "--threads", "1", fmt::format("epochs={}", done + 1)});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("going on with cv/fold1 behind epoch "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("3 of 3 folds; "), std::string::npos) << outcome.err;
}

TEST_F(FoldsCommand, AreRefusedInOneSentence) {
  expect_exactly(2, training("cv", {"--folds", "3", "--split", "s.csv"}),
                 "--split and --folds cannot be given together");
  expect_exactly(2, training("cv", {"--folds", "3", "--validation", "v"}),
                 "--validation and --folds cannot be given together");
  expect_exactly(2, training("r", {"--folds", "1"}), "--folds must be a whole number from 2 to 100, not '1'");
  expect_exactly(2, folding({"--fold", "4"}), "--fold 4 does not exist: there are 3 folds");
  expect_exactly(2, training("r", {"--fold", "2"}), "--fold 2 needs --folds N, or --resume with a folder of folds");
  EXPECT_FALSE(fs::exists(folder_ / "cv"));
  train("r");
  expect_exactly(2, training("r", {"--folds", "3"}), "r holds a run already, not folds; take another folder");
  ASSERT_EQ(run(folding({"--fold", "2"})).code, 0);
  expect_exactly(
      2, folding(),
      "cv holds fold 2 already; go on with the folds (--resume), replace them (--overwrite), or take another "
      "folder");
  const Outcome other = run(folding({"--fold", "1", "--seed", "9"}));
  EXPECT_EQ(other.code, 2);
  EXPECT_TRUE(
      other.err.ends_with("\ndermatome: the folds in cv were begun with another split (--seed, --test-share or "
                          "--groups); say the same, or take another folder\n"))
      << other.err;
  folder_.add("cv/folds.json", std::string_view("{}"));
  expect_exactly(1, {"train", "--run", "cv", "--resume"},
                 "cv/folds.json is damaged: it does not say how many folds there are");
}

TEST_F(FoldsCommand, ADryRunWritesNothing) {
  const Outcome outcome = run(folding({"--dry-run"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("fold 1 of 3, as all of them"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(folder_ / "cv"));
}

}  // namespace
}  // namespace dermatome::cli

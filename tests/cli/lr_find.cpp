// dermatome lr-find: what it prints, draws and refuses; lr=find in a run.
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

std::vector<std::string> finding(std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{"lr-find", "--data",           "data",    "--threads",
                                     "1",       "model=tiny.graph", "size=32", "batch=2"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST_F(CommandLine, LrFindPrintsALineForTheRecipe) {
  const Outcome outcome = run(finding({"--csv", "c.csv", "--plot", "c.svg"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("# stage 1, 32 px: exponential sweep, ")) << outcome.out;
  const auto line = outcome.out.find("\nlr = ");
  ASSERT_NE(line, std::string::npos) << outcome.out;
  folder_.add("found.toml", std::string_view("[[stage]]\n" + outcome.out));
  EXPECT_NE(run({"config", "found.toml"}).out.find(outcome.out.substr(line + 1, outcome.out.size() - line - 2)),
            std::string::npos)
      << "what is printed is a part of a recipe";
  EXPECT_TRUE(text_of(folder_ / "c.csv").starts_with("step,rate,loss,average,smoothed\n0,1e-05,"));
  EXPECT_NE(text_of(folder_ / "c.svg").find(">steepest "), std::string::npos);
  EXPECT_EQ(run(finding()).out, outcome.out) << "the same again";
  const Outcome groups = run(finding({"lr={\"*\" = 1e-3, early = 1e-4}"}));
  EXPECT_NE(groups.out.find("\nlr = { \"*\" = "), std::string::npos) << groups.out << groups.err;
}

TEST_F(CommandLine, LrFindSweepsLinearlyAndWithTheValidationLoss) {
  const Outcome linear = run(finding({"--linear", "--steps", "30", "--csv", "c.csv"}));
  EXPECT_EQ(linear.code, 0) << linear.err;
  EXPECT_TRUE(linear.out.starts_with("# stage 1, 32 px: linear sweep, 30 of 30 steps, to rate 0.0967, training loss"))
      << linear.out;
  EXPECT_TRUE(text_of(folder_ / "c.csv").starts_with("step,rate,loss,average,smoothed\n0,0,"));
  const Outcome validation = run(finding({"--validation-loss", "--steps", "12", "--end", "0.01"}));
  EXPECT_NE(validation.out.find("12 of 12 steps, to rate 0.00562, validation loss"), std::string::npos)
      << validation.out << validation.err;
}

TEST_F(CommandLine, LrFindSweepsAsTheRecipeSaysUnlessAnOptionDoes) {
  const Outcome recipe = run(finding({"find_sweep=linear", "find_loss=validation", "find_steps=30"}));
  EXPECT_EQ(recipe.code, 0) << recipe.err;
  EXPECT_TRUE(recipe.out.starts_with("# stage 1, 32 px: linear sweep, 30 of 30 steps, to rate 0.0967, validation loss"))
      << recipe.out;
  const Outcome option = run(finding({"find_steps=30", "find_end=5", "--steps", "12", "--end", "0.01"}));
  EXPECT_NE(option.out.find("exponential sweep, 12 of 12 steps, to rate 0.00562, training loss"), std::string::npos)
      << option.out << option.err;
  expect_refused(2, finding({"find_sweep=linear", "--start", "1"}), {"the recipe's sweep is linear"});
  expect_refused(2, finding({"find_start=1", "find_end=0.1"}), {"--start 1 must be below --end 0.1"});
}

TEST_F(CommandLine, LrFindSaysWhatIsWrong) {
  expect_refused(2, finding({"--stage", "2"}), {"the recipe has 1 stage, so there is no --stage 2"});
  expect_refused(2, finding({"--start", "1", "--end", "0.1"}), {"--start 1 must be below --end 0.1"});
  expect_refused(2, finding({"--linear", "--start", "1"}), {"--linear", "--start", "cannot be given together"});
  EXPECT_EQ(run(finding({"--steps", "3", "--plot", "few.svg"})).out.find("lr = "), std::string::npos);
  EXPECT_TRUE(fs::exists(folder_ / "few.svg"));
  expect_refused(2, finding({"lr=0"}), {"lr = 0 leaves no ratio"});
  expect_refused(2, finding({"size=30"}), {"size=30 does not fit tiny"});
  expect_refused(2, {"lr-find", "model=tiny.graph"}, {"--data"});
}

TEST_F(CommandLine, ARunFindsItsRateAndKeepsTheCurve) {
  const Outcome outcome = run(training("r", {"epochs=1", "lr=find"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("stage 1: lr = "), std::string::npos) << outcome.err;
  EXPECT_TRUE(fs::exists(folder_ / "r/lr_find_stage1.csv"));
  ASSERT_EQ(run({"report", "r"}).code, 0);
  const std::string rate = outcome.err.substr(outcome.err.find("lr = ") + 5);
  EXPECT_NE(text_of(folder_ / "r/report.html").find("steepest " + rate.substr(0, rate.find(','))), std::string::npos)
      << "the report shows where the rate came from: " << rate;
  EXPECT_NE(text_of(folder_ / "r/resolved.toml").find("lr = \"find\""), std::string::npos);
  const Outcome again = run(training("r", {"epochs=1", "--overwrite"}));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_FALSE(fs::exists(folder_ / "r/lr_find_stage1.csv")) << "the curve of the run that was replaced";
  const Outcome planned = run(training("p", {"lr=find", "--dry-run"}));
  EXPECT_NE(planned.out.find("finding a rate 100 steps"), std::string::npos) << planned.out << planned.err;
  const Outcome shorter = run(training("p", {"lr=find", "find_steps=30", "--dry-run"}));
  EXPECT_NE(shorter.out.find("finding a rate 30 steps"), std::string::npos) << shorter.out << shorter.err;
  expect_refused(2, training("p", {"lr=find", "find_start=1", "find_end=0.1"}),
                 {"find_start = 1 must be below find_end = 0.1"});
}

}  // namespace
}  // namespace dermatome::cli

// dermatome schedule: the table, the picture, and the steps that photographs make.
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST_F(CommandLine, ScheduleOfFastaiIsPrintedStepByStep) {
  const Outcome outcome = run({"schedule", "model=tiny.graph", "lr=1", "schedule=use_clr", "div=20", "cut_div=8"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_TRUE(outcome.out.starts_with("step,stage,momentum,early,late\n0,1,0.9,0.05,0.05\n1,1,0.9,0.0576,0.0576\n"))
      << outcome.out.substr(0, 100);
  EXPECT_EQ(lines_in(outcome.out), 1001u);
}

TEST_F(CommandLine, ScheduleCountsTheStepsThatTheTrainingPartMakes) {
  const std::vector<std::string> command{"schedule", "model=tiny.graph", "batch=2", "epochs=3", "--data", "data"};
  const Outcome outcome = run(command);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(lines_in(outcome.out), 1 + 2 * 3u) << "four of five photographs are trained on";
  auto with_steps = command;
  with_steps.insert(with_steps.end(), {"--steps", "7"});
  expect_refused(2, with_steps, {"--data", "--steps", "cannot be given together"});
}

TEST_F(CommandLine, ScheduleIsDrawnAndWrittenWhereAsked) {
  const Outcome drawn = run({"schedule", "model=tiny.graph", "schedule=one_cycle", "--plot", "s.svg"});
  EXPECT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_EQ(drawn.out, "");
  EXPECT_NE(text_of(folder_ / "s.svg").find("momentum (beta1)"), std::string::npos);
  const Outcome both = run({"schedule", "model=tiny.graph", "--steps", "3", "--plot", "s.svg", "--csv", "s.csv"});
  EXPECT_EQ(both.out, "");
  EXPECT_EQ(lines_in(text_of(folder_ / "s.csv")), 4u);
  EXPECT_NE(run({"schedule", "model=tiny.graph", "--steps", "3", "lr=find"}).err.find("shares of the rate"),
            std::string::npos);
  expect_refused(1, {"schedule", "model=tiny.graph", "--plot", "nowhere/s.svg"}, {"nowhere/s.svg cannot be written"});
  expect_refused(2, {"schedule", "model=tiny.graph", "schedule=styr"}, {"did you mean 'stlr'?"});
  expect_refused(2, {"schedule", "model=tiny.graph", "--steps", "0"}, {"--steps"});
}

}  // namespace
}  // namespace dermatome::cli

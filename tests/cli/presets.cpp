// Presets on the command line.
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

TEST_F(CommandLine, ConfigPrintsPresetsThatTrainTakes) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--preset", "paper"},
                                                    {"--preset", "default"},
                                                    {"--preset", "default", "--pretrained"}}) {
    std::vector<std::string> command{"config"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Outcome printed = run(command);
    ASSERT_EQ(printed.code, 0) << printed.err;
    EXPECT_TRUE(printed.out.starts_with("# ")) << printed.out.substr(0, 80);
    EXPECT_NE(printed.out.find("lr = \"find\""), std::string::npos);
    folder_.add("printed.toml", std::string_view(printed.out));
    EXPECT_EQ(run({"config", "printed.toml", "seed=1"}).code, 0);
    command.emplace_back("epochs=3");
    EXPECT_NE(run(command).out.find("\nepochs = 3  #"), std::string::npos);
  }
  EXPECT_EQ(run({"config"}).out.find("find\"\n"), std::string::npos);
  expect_refused(2, {"config", "--preset", "papr"}, {"--preset"});
  expect_refused(2, {"config", "--pretrained"}, {"--pretrained"});
  expect_refused(2, {"config", "--preset", "paper", "x.toml"}, {"--preset paper is a recipe already"});
}

TEST_F(CommandLine, TrainWithThePaperFromRandomWeightsWarnsAndTheDefaultFreezesNothing) {
  folder_.add("small.graph", std::string_view(kThreeGroups));
  const auto train = [&](const std::string& run_folder, const std::string& preset, std::vector<std::string> more) {
    std::vector<std::string> arguments{"train",     "--data",  "data",     "--run", run_folder,
                                       "--threads", "1",       "--preset", preset,  "model=small.graph",
                                       "size=32",   "batch=2", "epochs=1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  };
  const Outcome plain = train("d", "default", {});
  ASSERT_EQ(plain.code, 0) << plain.err;
  EXPECT_EQ(plain.err.find("WARNING"), std::string::npos) << plain.err;
  EXPECT_EQ(text_of(folder_ / "d/resolved.toml").find("frozen = [\"encoder.early\"]"), std::string::npos);
  const Outcome paper = train("p", "paper", {"lr=1e-3"});
  ASSERT_EQ(paper.code, 0) << paper.err;
  EXPECT_NE(paper.err.find("WARNING: the preset paper is for trained weights"), std::string::npos) << paper.err;
  const Outcome tuned = train("t", "default", {"--weights", "d", "lr=1e-3"});
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  EXPECT_NE(text_of(folder_ / "t/resolved.toml").find("frozen = [\"encoder.early\"]"), std::string::npos);
  EXPECT_EQ(train("w", "paper", {"--weights", "d", "lr=1e-3"}).err.find("WARNING"), std::string::npos);
  expect_refused(2, {"train", "--run", "p", "--resume", "--preset", "paper"}, {"--resume", "--preset"});
}

TEST_F(CommandLine, LrFindWithThePaperFromRandomWeightsWarnsAsTrainDoes) {
  folder_.add("small.graph", std::string_view(kThreeGroups));
  const auto find = [&](const std::string& preset, std::vector<std::string> more) {
    std::vector<std::string> arguments{"lr-find",           "--data",  "data",    "--threads", "1", "--preset", preset,
                                       "model=small.graph", "size=32", "batch=2", "--steps",   "12"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  };
  const Outcome paper = find("paper", {});
  ASSERT_EQ(paper.code, 0) << paper.err;
  EXPECT_NE(paper.err.find("WARNING: the preset paper is for trained weights"), std::string::npos) << paper.err;
  EXPECT_EQ(find("default", {}).err.find("WARNING"), std::string::npos);
  ASSERT_EQ(run(training("w", {"model=small.graph", "epochs=1"})).code, 0);
  const Outcome tuned = find("paper", {"--weights", "w"});
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  EXPECT_EQ(tuned.err.find("WARNING"), std::string::npos) << tuned.err;
}

}  // namespace
}  // namespace dermatome::cli

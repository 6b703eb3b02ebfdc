// Completion: what the program answers, and what an interactive bash makes of it when somebody presses Tab.
#include <pty.h>

#include <set>

#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

using Words = std::set<std::string>;

class Completion : public CommandLine {
 protected:
  // Lines of the program's answer for these words, the last of which is being written.
  Words answers(std::vector<std::string> words) const {
    words.insert(words.begin(), "__complete");
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.err, "");
    Words lines;
    std::stringstream text(outcome.out);
    for (std::string line; std::getline(text, line);) lines.insert(line);
    return lines;
  }

  // What an interactive bash prints that gets these keys, in the fixture's folder with the binary on its PATH.
  std::string typed(const std::string& keys) const {
    fs::create_directories(folder_ / "bin");
    if (!fs::exists(folder_ / "bin/dermatome")) fs::create_symlink(DERMATOME_BINARY, folder_ / "bin/dermatome");
    int terminal = -1;
    winsize size{.ws_row = 50, .ws_col = 200, .ws_xpixel = 0, .ws_ypixel = 0};
    const pid_t id = ::forkpty(&terminal, nullptr, nullptr, &size);
    if (id == 0) {
      ::setenv("PATH", ((folder_ / "bin").string() + ":/usr/bin:/bin").c_str(), 1);
      ::setenv("TERM", "dumb", 1);
      ::setenv("HOME", folder_.path().c_str(), 1);
      if (::chdir(folder_.path().c_str()) != 0) ::_exit(126);
      ::execl("/bin/bash", "bash", "--norc", "--noprofile", "-i", nullptr);
      ::_exit(127);
    }
    const std::string input = "source <(dermatome completion bash)\n" + keys + "\nexit\n";
    EXPECT_EQ(::write(terminal, input.data(), input.size()), static_cast<ssize_t>(input.size()));
    std::string output;
    char buffer[4096];
    for (ssize_t count = 0; (count = ::read(terminal, buffer, sizeof(buffer))) > 0;) {
      output.append(buffer, static_cast<std::size_t>(count));
    }
    ::close(terminal);
    ::waitpid(id, nullptr, 0);
    return output;
  }
};

TEST_F(Completion, OffersCommandsAndTheirCommands) {
  const Words all = answers({""});
  for (const char* name : {"wtrain", "wevaluate", "wpredict", "wreport", "wconfig", "wgraph", "wbench", "winfo"}) {
    EXPECT_TRUE(all.contains(name)) << name;
  }
  EXPECT_FALSE(all.contains("wmanual")) << "hidden";
  EXPECT_EQ(answers({"pred"}), Words{"wpredict"});
  EXPECT_EQ(answers({"bench", ""}), (Words{"wstep", "wop", "wmachine"}));
  EXPECT_EQ(answers({"completion", ""}), Words{"wbash"});
}

TEST_F(Completion, OffersOptionsThatAreNotGivenYet) {
  const Words options = answers({"train", "--data", "--run", "--o"});  // --run is the value of --data
  EXPECT_EQ(options, Words{"w--overwrite"});
  EXPECT_EQ(answers({"train", "--overwrite", "--ov"}), Words{});
  EXPECT_TRUE(answers({"train", "--disable-pass", "fuse_add_relu", "--disable-p"}).contains("w--disable-pass"));
  EXPECT_TRUE(answers({"bench", "step", "--"}).contains("w--batch"));
}

TEST_F(Completion, OffersWhatAnOptionTakes) {
  EXPECT_EQ(answers({"bench", "step", "--mode", ""}), (Words{"wtrain", "winfer"}));
  EXPECT_EQ(answers({"bench", "step", "--mode=i"}), Words{"w--mode=infer"});
  EXPECT_EQ(answers({"bench", "step", "--batch", ""}), Words{});
  EXPECT_EQ(answers({"train", "--data", ""}), Words{"d"});
  EXPECT_EQ(answers({"predict", "--out", ""}), Words{"d"});
  EXPECT_EQ(answers({"evaluate", "--split", ""}), Words{"f"});
  EXPECT_EQ(answers({"predict", ""}), Words{"f"});
  EXPECT_EQ(answers({"evaluate", "--part", "v"}), Words{"wvalidation"});
  EXPECT_EQ(answers({"graph", "unet"}), (Words{"wunet34", "wunet34_large_head", "x.graph"}));
  EXPECT_EQ(answers({"graph", "unet34", ""}), Words{}) << "graph takes one model";
  EXPECT_TRUE(answers({"train", "--device", ""}).contains("wreference"));
  EXPECT_TRUE(answers({"train", "--disable-pass", ""}).contains("wfuse_add_relu"));
}

TEST_F(Completion, OffersTheRecipesKeysAndWords) {
  const Words keys = answers({"train", "--data", "d", "lr=1", "e"});
  EXPECT_TRUE(keys.contains("wepochs=") && keys.contains("weps=") && keys.contains("x.toml")) << keys.size();
  EXPECT_EQ(answers({"config", "schedule="}), (Words{"wschedule=use_clr", "wschedule=stlr", "wschedule=use_clr_beta",
                                                     "wschedule=one_cycle", "wschedule=cosine", "wschedule=constant"}));
  EXPECT_EQ(answers({"config", "batch_norm=f"}), Words{"wbatch_norm=frozen"});
  EXPECT_EQ(answers({"config", "size="}), Words{});
  EXPECT_EQ(answers({"config", "augmentation.rotate_d"}), (Words{"waugmentation.rotate_degrees=", "x.toml", "n"}));
  EXPECT_TRUE(answers({"config", "model=unet34_"}).contains("wmodel=unet34_large_head"));
}

TEST_F(Completion, NonsenseGetsNoAnswerAndNoError) {
  EXPECT_EQ(answers({"nothing", "--what", ""}), answers({""}));
  EXPECT_EQ(answers({"bench", "step", "--=x"}), Words{});
  EXPECT_EQ(answers({"graph", "=", "==", "-"}), answers({"graph", "-"}));
  EXPECT_FALSE(answers({}).empty());
}

TEST_F(Completion, TabWorksInBash) {
  folder_.add("my recipe.toml", std::string_view("seed = 77\n"));
  const std::string screen = typed(
      "dermatome inf\t--bogus\n"                        // a command, with a blank behind
      "dermatome config sched\tst\t | grep '^sched'\n"  // a key without, then its word behind =
      "dermatome bench step --mode=inf\t --size 0\n"
      "dermatome graph tin\t --size 33\n"       // a file by its ending
      "dermatome config my\t | grep '^seed'\n"  // with a blank in its name
      "ls -d \"$PWD\"; dermatome train --data dat\t --run dat\t --nope\n");
  for (const char* part :
       {"info has no option --bogus", "schedule = \"stlr\"", "dermatome bench step --mode=infer", "33 x 33 is not",
        "seed = 77", "--data data/ --run data/ --nope", "train has no option --nope"}) {
    EXPECT_NE(screen.find(part), std::string::npos) << part << " not in:\n" << screen;
  }
}

}  // namespace
}  // namespace dermatome::cli

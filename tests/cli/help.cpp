// What the program says about itself: the overview, each command's help, the version, the reference of settings.
#include <fmt/ranges.h>

#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::stringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Words at the beginning of the lines of one section.
std::vector<std::string> names_in(const std::string& help, const std::string& section) {
  std::vector<std::string> names;
  bool inside = false;
  for (const auto& line : lines_of(help)) {
    if (line == section) {
      inside = true;
    } else if (line.empty()) {
      inside = false;
    } else if (inside && line.starts_with("  ") && line[2] != ' ') {
      names.push_back(line.substr(2, line.find(' ', 2) - 2));
    }
  }
  return names;
}

class Help : public CommandLine {
 protected:
  // Every command that takes no further one, as the words behind the program's name.
  std::vector<std::vector<std::string>> all_commands(std::vector<std::string> above = {}) const {
    auto arguments = above;
    arguments.emplace_back("--help");
    const auto names = names_in(run(arguments).out, "Commands");
    if (names.empty()) return {above};
    std::vector<std::vector<std::string>> all;
    for (const auto& name : names) {
      auto words = above;
      words.push_back(name);
      for (auto& command : all_commands(words)) all.push_back(std::move(command));
    }
    return all;
  }
};

TEST_F(Help, WithoutArgumentsTheOverviewComesAndTheExitCodeIsThatOfAMistake) {
  const Outcome nothing = run({});
  EXPECT_EQ(nothing.code, 2);
  EXPECT_EQ(nothing.out, "");
  for (const char* flag : {"--help", "-h"}) {
    const Outcome asked = run({flag});
    EXPECT_EQ(asked.code, 0);
    EXPECT_EQ(asked.err, "");
    EXPECT_EQ(asked.out, nothing.err);
  }
  for (const char* name :
       {"train", "evaluate", "predict", "report", "config", "graph", "bench", "info", "completion"}) {
    const auto names = names_in(nothing.err, "Commands");
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  }
}

TEST_F(Help, EveryCommandExplainsEachOptionWithin80Columns) {
  const auto commands = all_commands();
  EXPECT_GE(commands.size(), 9u);
  for (auto command : commands) {
    const std::string usage = fmt::format("Usage  dermatome {}", fmt::join(command, " "));
    command.emplace_back("--help");
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.code, 0) << usage;
    EXPECT_EQ(outcome.err, "") << usage;
    EXPECT_NE(outcome.out.find(usage), std::string::npos) << outcome.out;
    for (const auto& line : lines_of(outcome.out)) EXPECT_LE(line.size(), 80u) << line;
    EXPECT_EQ(outcome.out.find(" TEXT"), std::string::npos)
        << "an option does not say what it takes (tools/option_value.cpp) in " << outcome.out;
    for (const auto& name : names_in(outcome.out, "Options")) {
      const auto lines = lines_of(outcome.out);
      const auto line = std::find_if(lines.begin(), lines.end(), [&](const std::string& l) {
        return l.starts_with("  " + name + " ") || l == "  " + name;
      });
      ASSERT_NE(line, lines.end()) << name;
      const bool explained =
          line->find("  ", line->find_first_not_of(' ')) != std::string::npos || (line + 1)->starts_with("      ");
      EXPECT_TRUE(explained) << usage << ": " << *line;
    }
  }
}

TEST_F(Help, SaysWhatAnOptionTakes) {
  const std::string step = run({"bench", "step", "--help"}).out;
  for (const char* part :
       {"--batch N ", "(1 to 65536; default 8)", "--mode train|infer", "--model MODEL", "--device DEVICE"}) {
    EXPECT_NE(step.find(part), std::string::npos) << part << " not in:\n" << step;
  }
  const std::string train = run({"train", "--help"}).out;
  EXPECT_NE(train.find("Usage  dermatome train --run FOLDER [options] [settings ...]"), std::string::npos) << train;
  EXPECT_NE(train.find("(required)"), std::string::npos) << train;
}

TEST_F(Help, OfEverythingHoldsTheHelpOfEach) {
  const Outcome all = run({"--help-all"});
  EXPECT_EQ(all.code, 0);
  for (const auto& command : all_commands()) {
    EXPECT_NE(all.out.find(fmt::format("\ndermatome {} ---", fmt::join(command, " "))), std::string::npos)
        << command.back();
  }
}

TEST_F(Help, VersionAndOperations) {
  const Outcome version = run({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_TRUE(version.out.starts_with("dermatome ")) << version.out;
  EXPECT_NE(run({"info", "--ops"}).out.find("conv2d "), std::string::npos);
}

TEST_F(Help, InfoSaysWhetherTrainTakesBf16) {
  const bool offered = run({"bench", "step", "--model", "tiny.graph", "--size", "32", "--batch", "1", "--seconds",
                            "0.01", "--threads", "1", "--device", "cpu", "--type", "bf16"})
                           .code == 0;
  const std::string text = run({"info"}).out;
  EXPECT_EQ(text.find("\nbf16             on the cpu, by --type bf16") != std::string::npos, offered) << text;
  EXPECT_EQ(text.find("\nbf16             off (x86-64-") != std::string::npos, !offered) << text;
}

TEST_F(Help, TheReferenceOfSettingsInTheDocumentationIsThePrograms) {
  const Outcome reference = run({"config", "--reference"});
  EXPECT_EQ(reference.code, 0) << reference.err;
  EXPECT_EQ(text_of(fs::path(DERMATOME_SOURCE_DIR) / "docs/config.md"), reference.out)
      << "`dermatome config --reference > docs/config.md` brings it up to date";
  std::size_t keys = 0;
  for (const auto& line : lines_of(run({"config"}).out)) {
    const auto equals = line.find(" = ");
    if (line.starts_with("#") || equals == std::string::npos) continue;
    ++keys;
    EXPECT_NE(reference.out.find("| `" + line.substr(0, equals) + "` |"), std::string::npos) << line;
  }
  EXPECT_GT(keys, 10u);
}

}  // namespace
}  // namespace dermatome::cli

// The live view in a terminal: what `dermatome train` draws there, what it leaves, and where it draws nothing.
#include <pty.h>

#include <map>
#include <regex>

#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

// What a terminal shows that got these bytes: lines, returns, "up" and "erase below"; colours take no room.
class Screen {
 public:
  explicit Screen(const std::string& bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (bytes[i] == '\x1b') {
        i = control(bytes, i);
      } else if (bytes[i] == '\r') {
        column_ = 0;
      } else if (bytes[i] == '\n') {
        if (++row_ == lines_.size()) lines_.emplace_back();
      } else {
        put(bytes[i]);
      }
    }
  }

  std::string text() const {
    std::string text;
    for (const auto& line : lines_) text += line + "\n";
    return text;
  }

 private:
  void put(char c) {
    std::string& line = lines_[row_];
    if (line.size() <= column_) line.resize(column_ + 1, ' ');
    line[column_++] = c;
  }

  // Of the sequence at `start`; gives its last byte's place.
  std::size_t control(const std::string& bytes, std::size_t start) {
    const std::size_t end = bytes.find_first_of("AJm", start);
    if (end == std::string::npos) return bytes.size();
    if (bytes[end] == 'A') row_ -= std::min<std::size_t>(row_, std::stoul(bytes.substr(start + 2)));
    if (bytes[end] == 'J') {
      lines_.resize(row_ + 1);
      lines_[row_].resize(std::min(lines_[row_].size(), column_));
    }
    return end;
  }

  std::vector<std::string> lines_{""};
  std::size_t row_ = 0, column_ = 0;
};

class Terminal : public CommandLine {
 protected:
  using Variables = std::map<std::string, std::string>;

  // What a terminal gets from these words, with no variable of the locale and of colours set but those given.
  std::string shown(const Variables& variables, std::vector<std::string> words) const {
    std::vector<char*> pointers;
    for (auto& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    int terminal = -1;
    winsize size{.ws_row = 50, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    const pid_t id = ::forkpty(&terminal, nullptr, nullptr, &size);
    if (id == 0) {
      for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG", "NO_COLOR", "TERM"}) ::unsetenv(name);
      for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
      if (::chdir(folder_.path().c_str()) != 0) ::_exit(126);
      ::execv(pointers[0], pointers.data());
      ::_exit(127);
    }
    std::string output;
    char buffer[4096];
    for (ssize_t count = 0; (count = ::read(terminal, buffer, sizeof(buffer))) > 0;) {
      output.append(buffer, static_cast<std::size_t>(count));
    }
    ::close(terminal);
    int status = -1;
    ::waitpid(id, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << output;
    return output;
  }

  std::string training_shown(const Variables& variables) const {
    std::vector<std::string> words = training("r", {"epochs=2"});
    words.insert(words.begin(), DERMATOME_BINARY);
    return shown(variables, words);
  }

  // The same with what the program writes going through a pipe.
  std::string training_piped(const Variables& variables) const {
    std::vector<std::string> words = training("r", {"epochs=2"});
    words.insert(words.begin(), {"/bin/sh", "-c", "\"$0\" \"$@\" 2>&1 | cat", DERMATOME_BINARY});
    return shown(variables, words);
  }

  static void expect_plain_lines(const std::string& output) {
    EXPECT_EQ(output.find('\x1b'), std::string::npos) << output;
    EXPECT_FALSE(std::regex_search(output, std::regex("\r[^\n]"))) << "a line was drawn over: " << output;
    EXPECT_EQ(output.find("##"), std::string::npos) << "a bar: " << output;
    for (const char* part : {"val Jaccard", "\n    1/2", "\n    2/2", "best: epoch "})
      EXPECT_NE(output.find(part), std::string::npos) << part << " not in: " << output;
  }
};

const std::regex kRedrawn("\x1b\\[[0-9]+A\r\x1b\\[J");
const std::regex kColour("\x1b\\[[0-9;]*m");

TEST_F(Terminal, ShowsBarsThatAreDrawnOver) {
  const std::string output = training_shown({{"TERM", "xterm"}, {"LC_ALL", "C.UTF-8"}});
  EXPECT_TRUE(std::regex_search(output, kRedrawn)) << output;
  for (const char* part : {"\x1b[32m━", "━\x1b[0m", "epoch 1/2 ", "epoch 2/2 ", "left  loss ", " images/s"})
    EXPECT_NE(output.find(part), std::string::npos) << part << " not in: " << output;
}

TEST_F(Terminal, LeavesTheTableAndNoBar) {
  const std::string output = training_shown({{"TERM", "xterm"}});
  EXPECT_TRUE(std::regex_search(output, kRedrawn)) << output;
  EXPECT_NE(output.find("##"), std::string::npos) << "bars of another locale are ASCII: " << output;
  const Screen screen(output);
  EXPECT_EQ(screen.text().find("##"), std::string::npos) << screen.text();
  EXPECT_EQ(screen.text().find("left  loss"), std::string::npos) << screen.text();
  for (const char* part : {"val Jaccard", "\n    1/2", "\n    2/2", "best: epoch "})
    EXPECT_NE(screen.text().find(part), std::string::npos) << part << " not in: " << screen.text();
}

TEST_F(Terminal, IsNotColouredWithNoColor) {
  const std::string output = training_shown({{"TERM", "xterm"}, {"NO_COLOR", "1"}});
  EXPECT_FALSE(std::regex_search(output, kColour)) << output;
  EXPECT_TRUE(std::regex_search(output, kRedrawn)) << "only colours are left out: " << output;
}

TEST_F(Terminal, ThatIsDumbOrNoneGetsPlainLines) {
  expect_plain_lines(training_shown({{"TERM", "dumb"}, {"LC_ALL", "C.UTF-8"}}));
  fs::remove_all(folder_ / "r");
  expect_plain_lines(training_shown({{"TERM", "dumb"}, {"NO_COLOR", "1"}}));
  fs::remove_all(folder_ / "r");
  expect_plain_lines(training_shown({}));
}

TEST_F(Terminal, BehindAPipeGetsPlainLines) {
  expect_plain_lines(training_piped({{"TERM", "xterm"}, {"LC_ALL", "C.UTF-8"}}));
}

}  // namespace
}  // namespace dermatome::cli

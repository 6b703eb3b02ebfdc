// Running the real binary: its exit code and what it wrote to both streams; and a folder with a small data set.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/data/support.h"

namespace dermatome::cli {

namespace fs = std::filesystem;
using data::testing::TemporaryFolder;

inline std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::vector<fs::path> event_files(const fs::path& run) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(run)) {
    if (entry.path().filename().string().starts_with("events.out.tfevents.")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

struct Outcome {
  int code = -1;  // 128 + signal where one ended it unhandled, as a shell has it, plus 1000 to tell it apart
  std::string out, err;
  std::size_t peak_memory = 0;  // bytes
};

// The binary at work in `folder`; a process of its own.
class Process {
 public:
  // `prepare` runs in the new process before the binary does; what it returns false for ends the process with code 126.
  Process(const fs::path& folder, const std::vector<std::string>& arguments, const std::function<bool()>& prepare = {})
      : out_(folder / ".stdout"), err_(folder / ".stderr") {
    std::vector<std::string> words{DERMATOME_BINARY};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (auto& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    id_ = ::fork();
    if (id_ != 0) return;
    const int out = ::open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err = ::open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::signal(SIGINT, SIG_DFL);  // ignored where the tests run in the background of a script
    if (out < 0 || err < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0 || ::chdir(folder.c_str()) != 0) ::_exit(126);
    if (prepare && !prepare()) ::_exit(126);
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }

  void signal(int number) const { ::kill(id_, number); }

  bool is_running() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(id_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
  }

  // Looks every millisecond, for half a minute at most; false where the process ended before.
  bool wait_until(const std::function<bool()>& condition) const {
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - start < std::chrono::seconds(30)) {
      if (condition()) return true;
      if (!is_running()) return condition();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  Outcome wait() {
    int status = 0;
    rusage usage{};
    ::wait4(id_, &status, 0, &usage);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1128 + WTERMSIG(status);
    return {.code = code,
            .out = text_of(out_),
            .err = text_of(err_),
            .peak_memory = static_cast<std::size_t>(usage.ru_maxrss) * 1024};
  }

 private:
  fs::path out_, err_;
  pid_t id_ = -1;
};

inline constexpr const char* kImages = "data/ISIC-2017_Training_Data";
inline constexpr const char* kMasks = "data/ISIC-2017_Training_Part1_GroundTruth";

inline constexpr const char* kTinyGraph = R"(model tiny(image: 3 channels, sides divisible by 4) {
  group early
  conv1 = conv2d(image, 4, kernel=3, stride=2, pad=1, bias=false)
  bn1   = batch_norm(conv1)

  group late
  out = conv_transpose2d(relu(bn1), 1, kernel=2, stride=2)
  return out
}
)";

// A small network with the groups of U-Net34.
inline constexpr const char* kThreeGroups = R"(model small(image: 3 channels, sides divisible by 4) {
  group encoder.early
  conv1 = conv2d(image, 4, kernel=3, stride=2, pad=1, bias=false)
  bn1   = batch_norm(conv1)

  group encoder.late
  conv2 = conv2d(relu(bn1), 4, kernel=3, pad=1, bias=false)
  bn2   = batch_norm(conv2)

  group decoder
  out = conv_transpose2d(relu(bn2), 1, kernel=2, stride=2)
  return out
}
)";

// A working folder with five photographs of data/sample and a network small enough to train in no time.
class CommandLine : public ::testing::Test {
 protected:
  CommandLine() {
    const fs::path sample = fs::path(DERMATOME_SOURCE_DIR) / "data/sample";
    fs::create_directories(folder_ / kImages);
    fs::create_directories(folder_ / kMasks);
    for (const auto& image : fs::directory_iterator(sample / fs::path(kImages).filename()))
      ids_.push_back(image.path().stem().string());
    std::sort(ids_.begin(), ids_.end());
    ids_.resize(5);
    for (const auto& id : ids_) {
      fs::copy_file(sample / fs::path(kImages).filename() / (id + ".jpg"), image(id));
      fs::copy_file(sample / fs::path(kMasks).filename() / (id + "_segmentation.png"), mask(id));
    }
    folder_.add("tiny.graph", std::string_view(kTinyGraph));
  }

  fs::path image(const std::string& id) const { return folder_ / kImages / (id + ".jpg"); }
  fs::path mask(const std::string& id) const { return folder_ / kMasks / (id + "_segmentation.png"); }

  Outcome run(const std::vector<std::string>& arguments) const { return Process(folder_.path(), arguments).wait(); }

  static std::vector<std::string> training(const std::string& run, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"train", "--data",           "data",    "--run",  run, "--threads",
                                       "1",     "model=tiny.graph", "size=32", "batch=2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  void train(const std::string& run) const {
    const Outcome outcome = this->run(training(run, {"epochs=1"}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }

  // Nothing on standard output, one sentence on standard error that holds every one of `parts`.
  void expect_refused(int code, const std::vector<std::string>& arguments,
                      const std::vector<std::string>& parts) const {
    const Outcome outcome = run(arguments);
    expect_sentence(outcome, outcome.err, code, parts);
  }

  // The same, word by word.
  void expect_exactly(int code, const std::vector<std::string>& arguments, const std::string& sentence) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err, "dermatome: " + sentence + "\n");
  }

  // The same where training had begun: only the last line is the error.
  void expect_failed(const std::vector<std::string>& arguments, const std::vector<std::string>& parts) const {
    const Outcome outcome = run(arguments);
    const auto start = outcome.err.rfind("dermatome: ");
    expect_sentence(outcome, start == std::string::npos ? outcome.err : outcome.err.substr(start), 1, parts);
  }

  // The last error is `sentence` with a line for each of `causes` behind it, in any order, and nothing else.
  void expect_listed(const std::vector<std::string>& arguments, const std::string& sentence,
                     std::vector<std::string> causes) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 1) << outcome.err;
    const std::string first = "dermatome: " + sentence + "\n";
    const auto at = ("\n" + outcome.err).find("\n" + first);
    ASSERT_NE(at, std::string::npos) << first << "is not in:\n" << outcome.err;
    std::stringstream rest(outcome.err.substr(at + first.size()));
    std::vector<std::string> lines;
    for (std::string line; std::getline(rest, line);) lines.push_back(line);
    for (auto& cause : causes) cause = "  " + cause;
    std::sort(causes.begin(), causes.end());
    std::sort(lines.begin(), lines.end());
    EXPECT_EQ(lines, causes) << outcome.err;
  }

  TemporaryFolder folder_;
  std::vector<std::string> ids_;

 private:
  static void expect_sentence(const Outcome& outcome, const std::string& text, int code,
                              const std::vector<std::string>& parts) {
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(text.starts_with("dermatome: ")) << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    for (const auto& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " not in: " << text;
  }
};

}  // namespace dermatome::cli

// Disks that are full, folders that cannot be written and signals at awkward moments: what was written stays whole.
#include <sys/resource.h>

#include <cstdlib>
#include <map>

#include "models/safetensors.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

class Failures : public CommandLine {
 protected:
  // A shell script in a user's own mount namespace, where it may mount a small disk; its output.
  Outcome in_own_mounts(const std::string& script) const {
    folder_.add("script.sh", std::string_view("dermatome=" DERMATOME_BINARY "\nmkdir -p r\n" + script));
    const std::string command =
        "cd " + folder_.path().string() + " && unshare --user --map-root-user --mount sh script.sh >out 2>err";
    const int status = std::system(command.c_str());
    return {.code = WEXITSTATUS(status), .out = text_of(folder_ / "out"), .err = text_of(folder_ / "err")};
  }

  static bool may_mount() {
    static const bool possible = std::system(
                                     "unshare --user --map-root-user --mount mount -t tmpfs -o size=64k tmpfs /mnt "
                                     ">/dev/null 2>&1") == 0;
    return possible;
  }

  void add_much_to_read() const {
    for (int i = 0; i < 400; ++i) {  // seconds of decoding
      const std::string id = "ISIC_" + std::to_string(9000000 + i);
      fs::create_hard_link(image(ids_[0]), image(id));
      fs::create_hard_link(mask(ids_[0]), mask(id));
    }
  }

  static std::string command_text(const std::vector<std::string>& arguments) {
    std::string text = "$dermatome";
    for (const auto& argument : arguments) text += " '" + argument + "'";
    return text;
  }

  static std::vector<std::string> resuming() { return {"train", "--run", "r", "--threads", "1", "--resume"}; }
};

// The second checkpoint does not fit beside the first. With room made, the run goes on to the bits of an undisturbed
// one.
TEST_F(Failures, AFullDiskKeepsTheLastCheckpoint) {
  if (!may_mount()) GTEST_SKIP() << "this machine lets nobody mount a small disk";
  ASSERT_EQ(run(training("whole", {"epochs=3"})).code, 0);
  const auto pages = [&](double checkpoints) {  // and eight small files
    return std::to_string(
               static_cast<int>(checkpoints * static_cast<double>(fs::file_size(folder_ / "whole/last.safetensors")) /
                                1024) +
               34) +
           "k";
  };
  const Outcome outcome = in_own_mounts(
      "mount -t tmpfs -o size=" + pages(1.2) + " tmpfs r\n" + command_text(training("r", {"epochs=3"})) +
      "; echo code $?; ls r\n" + "mount -o remount,size=1m r\n" + command_text(resuming()) + " 2>more; echo code $?\n" +
      "cmp r/last.safetensors whole/last.safetensors && cmp r/steps.csv whole/steps.csv && "
      "cmp r/best.safetensors whole/best.safetensors && echo same bits\n");
  EXPECT_NE(outcome.err.find(
                "dermatome: cannot write r/last.safetensors: No space left on device; the checkpoint of step 0 is "
                "whole, and --resume goes on from it when that is mended\n"),
            std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.err.find("r has 0.0 MB left on its disk, and the checkpoints of this run need 0.0 MB more\n"),
            std::string::npos)
      << outcome.err;
  EXPECT_EQ(outcome.out.find("partial"), std::string::npos) << outcome.out;
  EXPECT_TRUE(outcome.out.starts_with("code 1\n")) << outcome.out;
  EXPECT_TRUE(outcome.out.ends_with("code 0\nsame bits\n")) << outcome.out << outcome.err << text_of(folder_ / "more");
}

TEST_F(Failures, AReadOnlyRunFolderIsNamed) {
  if (!may_mount()) GTEST_SKIP() << "this machine lets nobody mount a small disk";
  const Outcome outcome =
      in_own_mounts("mount -t tmpfs -o ro tmpfs r\n" + command_text(training("r")) + "; echo code $?\n" +
                    "mkdir deep && mount -t tmpfs -o ro tmpfs deep\n" + command_text(training("deep/r")) +
                    "; echo code $?\n" + command_text(training("r", {"--dry-run"})) + " 2>dry; echo code $?\n" +
                    command_text(training("deep/r", {"--dry-run"})) + " 2>>dry; echo code $?\n");
  EXPECT_EQ(outcome.out, "code 1\ncode 1\ncode 1\ncode 1\n");
  EXPECT_EQ(text_of(folder_ / "dry"),
            "dermatome: the run folder r cannot be written: Read-only file system\n"
            "dermatome: the run folder deep/r cannot be made: Read-only file system\n");
  EXPECT_NE(outcome.err.find("dermatome: the run folder r cannot be written: Read-only file system\n"),
            std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.err.find("dermatome: the run folder deep/r cannot be made: Read-only file system\n"),
            std::string::npos)
      << outcome.err;
}

TEST_F(Failures, ARunFolderOfSomebodyElseIsNamed) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  fs::create_directories(folder_ / "r");
  fs::permissions(folder_ / "r", fs::perms::owner_read | fs::perms::owner_exec);
  expect_refused(1, training("r"), {"the run folder r cannot be written: Permission denied"});
  fs::permissions(folder_ / "r", fs::perms::owner_all);
}

// A limit on the sizes of files does to a log what a full disk does: rows stay whole.
TEST_F(Failures, ALogThatCannotGrowKeepsWholeRowsAndTheCheckpoint) {
  const auto limit = [] {
    const rlimit bytes{20000, 20000};
    return ::setrlimit(RLIMIT_FSIZE, &bytes) == 0;
  };
  const Outcome outcome = Process(folder_.path(), training("r", {"epochs=100000", "checkpoint_every=0"}), limit).wait();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("cannot write r/"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("File too large; the checkpoint of step "), std::string::npos) << outcome.err;
  for (const char* log : {"r/steps.csv", "r/log.csv"}) EXPECT_TRUE(text_of(folder_ / log).ends_with('\n')) << log;
  EXPECT_NO_THROW(read_safetensors(folder_ / "r/last.safetensors", Integrity::required));
  EXPECT_EQ(run({"predict", "--weights", "r/last.safetensors", "--out", "p", "--threads", "1", kImages}).code, 0);
}

TEST_F(Failures, ASignalWhileReadingLeavesNothingBehind) {
  add_much_to_read();
  for (const auto& [number, code] : {std::pair{SIGINT, 130}, {SIGTERM, 143}}) {
    Process process(folder_.path(), training("r"));
    const auto reading = [&] { return fs::exists(folder_ / "r"); };  // its folder is made when the data are found
    ASSERT_TRUE(process.wait_until(reading));
    process.signal(number);
    const Outcome outcome = process.wait();
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find("stopped before the first step; nothing was written\n"), std::string::npos)
        << outcome.err;
    EXPECT_FALSE(fs::exists(folder_ / "r"));
  }
}

TEST_F(Failures, ASignalWhileReadingKeepsTheRunThatIsResumedOrReplaced) {
  add_much_to_read();
  ASSERT_EQ(run(training("r", {"epochs=1"})).code, 0);
  const auto contents = [&] {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder_ / "r"))
      files[entry.path().filename()] = text_of(entry.path());
    return files;
  };
  const auto before = contents();
  for (const auto& arguments :
       {training("r", {"--overwrite"}),
        std::vector<std::string>{"train", "--run", "r", "--threads", "1", "--resume", "epochs=2"}}) {
    fs::remove(folder_ / ".stderr");
    Process process(folder_.path(), arguments);
    const auto reading = [&] {
      const std::string said = text_of(folder_ / ".stderr");
      return said.find("photographs to train on") != std::string::npos || said.find("going on") != std::string::npos;
    };
    ASSERT_TRUE(process.wait_until(reading));
    process.signal(SIGINT);
    const Outcome outcome = process.wait();
    EXPECT_EQ(outcome.code, 130) << outcome.err;
    EXPECT_TRUE(contents() == before) << arguments[1];
  }
}

}  // namespace
}  // namespace dermatome::cli

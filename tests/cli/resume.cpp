// Resuming from the command line: what is asked for, what is refused, what is said.
#include <sys/file.h>

#include "models/safetensors.h"
#include "tests/cli/command.h"
#include "tools/training/checkpoint.h"

namespace dermatome::cli {
namespace {

class ResumeCommand : public CommandLine {
 protected:
  // Stops behind a few more steps; gives what was said.
  std::string stop(const std::string& run, const std::vector<std::string>& arguments) const {
    const auto rows = [&] {
      const std::string steps = text_of(folder_ / run / "steps.csv");
      return std::count(steps.begin(), steps.end(), '\n');
    };
    const auto before = rows();
    Process process(folder_.path(), arguments);
    process.wait_until([&] { return rows() >= before + 5; });
    process.signal(SIGTERM);
    const Outcome outcome = process.wait();
    EXPECT_EQ(outcome.code, 143) << outcome.err;
    EXPECT_NE(outcome.err.find("--resume goes on from it"), std::string::npos) << outcome.err;
    return outcome.err;
  }

  static std::vector<std::string> resuming(const std::string& run, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"train", "--run", run, "--threads", "1", "--resume"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  void expect_said(const std::vector<std::string>& arguments, const std::vector<std::string>& parts) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    for (const auto& part : parts)
      EXPECT_NE(outcome.err.find(part), std::string::npos) << part << " not in: " << outcome.err;
  }
};

TEST_F(ResumeCommand, NeedsARunWithACheckpoint) {
  expect_refused(2, resuming("nowhere"), {"there is no run to resume: nowhere does not exist"});
  fs::create_directories(folder_ / "empty");
  expect_refused(2, resuming("empty"), {"empty holds no last.safetensors to resume from; start without --resume"});
  expect_refused(2, resuming("r", {"--overwrite"}), {"--overwrite and --resume cannot be given together"});
  expect_refused(2, resuming("r", {"--validation-share", "0.5"}),
                 {"--validation-share and --resume cannot be given together"});
}

TEST_F(ResumeCommand, FindsItsDataAndSettingsItself) {
  stop("r", training("r", {"epochs=100000"}));
  const std::string recipe = text_of(folder_ / "r/resolved.toml");
  const std::string said = stop("r", resuming("r"));
  EXPECT_NE(said.find("going on with r behind epoch"), std::string::npos) << said;
  EXPECT_NE(said.find("/100000 "), std::string::npos) << said;
  EXPECT_EQ(text_of(folder_ / "r/resolved.toml"), recipe);
}

TEST_F(ResumeCommand, OfAFinishedRunSaysSo) {
  train("r");
  const std::string before = text_of(folder_ / "r/last.safetensors");
  expect_said(resuming("r"), {"r is finished: all its 1 epochs are done", "epochs=N with a larger N"});
  EXPECT_EQ(text_of(folder_ / "r/last.safetensors"), before);
  expect_said(resuming("r", {"epochs=3"}), {"stage 1: epochs 1 -> 3", "going on with r behind epoch 1", "3/3"});
}

// TensorBoard would read what was left beside the event file as one more.
TEST_F(ResumeCommand, RemovesWhatWritesThatAKillEndedLeft) {
  train("r");
  const std::vector<std::string> left{"r/last.safetensors.partial", "r/events.out.tfevents.1.host.partial-host-7-0"};
  for (const auto& file : left) folder_.add(file, std::string_view("half"));
  expect_said(resuming("r", {"epochs=2"}), {"2/2"});
  for (const auto& file : left) EXPECT_FALSE(fs::exists(folder_ / file)) << file;
}

TEST_F(ResumeCommand, SaysThatThreadsOrSettingsAreOthers) {
  train("r");
  const Outcome same = run({"train", "--run", "r", "--resume", "--threads", "2", "epochs=2", "lr=1e-4"});
  EXPECT_EQ(same.code, 0) << same.err;
  EXPECT_NE(same.err.find("threads 1, now 2: the bits will not be those of a run that was never stopped"),
            std::string::npos)
      << same.err;
  EXPECT_NE(same.err.find("lr 0.001 -> 0.0001"), std::string::npos) << same.err;
}

TEST_F(ResumeCommand, SaysThatTheInstructionSetIsAnother) {
  train("r");
  const Outcome outcome = Process(folder_.path(), resuming("r", {"epochs=2"}), [] {
                            return ::setenv("DERMATOME_ISA", "x86-64-v2", 1) == 0;
                          }).wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find(", now x86-64-v2: the bits will not be those of a run that was never stopped"),
            std::string::npos)
      << outcome.err;
}

TEST_F(ResumeCommand, SaysThatTheModelsTextHasChanged) {
  train("r");
  const std::string text = kTinyGraph;
  folder_.add("tiny.graph", std::string_view(text.substr(0, text.find("group late")) + "group later" +
                                             text.substr(text.find("group late") + 10)));
  expect_said(resuming("r", {"epochs=2"}),
              {"the model's text has changed since the run began: the run goes on with the text of its checkpoint"});
  fs::remove(folder_ / "tiny.graph");
  expect_said(resuming("r", {"epochs=3"}), {"3/3"});
}

TEST_F(ResumeCommand, RefusesChangedPhotographs) {
  train("r");
  const std::string log = text_of(folder_ / "r/log.csv");
  fs::copy_file(image(ids_[0]), image(ids_[1]), fs::copy_options::overwrite_existing);
  fs::copy_file(mask(ids_[0]), mask(ids_[1]), fs::copy_options::overwrite_existing);
  expect_failed(resuming("r", {"epochs=2"}),
                {"the photograph or the mask of " + ids_[1] + " is not what it was when the run began"});
  EXPECT_EQ(text_of(folder_ / "r/log.csv"), log);
}

TEST_F(ResumeCommand, FollowsDataThatWereMoved) {
  train("r");
  fs::rename(folder_ / "data", folder_ / "moved");
  expect_failed(resuming("r", {"epochs=2"}), {"data does not exist"});
  expect_said(resuming("r", {"--data", "moved", "epochs=2"}), {"2/2"});
}

TEST_F(ResumeCommand, RefusesSettingsThatTheStateDoesNotAllow) {
  train("r");
  expect_refused(2, resuming("r", {"seed=9"}), {"a resumed run keeps its seed (42); seed = 9 needs a run of its own"});
  expect_refused(2, resuming("r", {"--seed", "9"}), {"keeps its seed"});
  expect_refused(2, resuming("r", {"epochs=2", "batch=4"}), {"stage 1 has begun and keeps its batch (2)"});
  expect_refused(2, resuming("r", {"epoch=2"}), {"did you mean 'epochs'?"});
}

TEST_F(ResumeCommand, RefusesARunFolderOfANewerVersion) {
  train("r");
  TensorFile file = read_safetensors(folder_ / "r/last.safetensors");
  std::string& text = file.metadata.at("dermatome");
  const std::string format = fmt::format("\"format\":{}", training::kCheckpointVersion);
  text.replace(text.find(format), format.size(), "\"format\":9");
  const auto version = text.find("\"version\":\"") + 11;
  text.replace(version, text.find('"', version) - version, "99.0");
  write_safetensors(folder_ / "r/last.safetensors", file, Integrity::required);
  expect_refused(1, resuming("r"), {"r/last.safetensors was written by a newer dermatome (99.0); this one is "});
}

TEST_F(ResumeCommand, RefusesADamagedCheckpointOrRecord) {
  train("r");
  const std::string whole = text_of(folder_ / "r/last.safetensors");
  folder_.add("r/last.safetensors", std::string_view(whole).substr(0, whole.size() / 2));
  expect_refused(1, resuming("r"), {"r/last.safetensors"});
  folder_.add("r/last.safetensors", std::string_view(whole));
  folder_.add("r/run.json", std::string_view("{"));
  expect_refused(1, resuming("r", {"epochs=2"}), {"r/run.json is damaged"});
  fs::remove(folder_ / "r/run.json");
  expect_refused(1, resuming("r", {"epochs=2"}), {"r/run.json cannot be read"});
}

TEST_F(ResumeCommand, WaitsForNoOtherProcessInTheSameFolder) {
  train("r");
  const int lock = ::open((folder_ / "r").c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  expect_refused(1, resuming("r"), {"another process is training into r"});
  ::close(lock);
  EXPECT_EQ(run(resuming("r")).code, 0);
}

}  // namespace
}  // namespace dermatome::cli

// A run from training to report, signals, and output that other programs read.
#include <csignal>
#include <map>

#include <nlohmann/json.hpp>

#include "data/codec.h"
#include "models/safetensors.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

TEST_F(CommandLine, TrainsEvaluatesPredictsAndReports) {
  const Outcome training_outcome = run(training("r", {"epochs=2"}));
  ASSERT_EQ(training_outcome.code, 0) << training_outcome.err;
  EXPECT_EQ(training_outcome.out, "");
  for (const char* name :
       {"resolved.toml", "split.csv", "log.csv", "steps.csv", "run.json", "last.safetensors", "best.safetensors"}) {
    EXPECT_TRUE(fs::exists(folder_ / "r" / name)) << name;
  }
  const auto events = event_files(folder_ / "r");
  ASSERT_EQ(events.size(), 1u);
  for (const char* tag : {"brain.Event:2", "train/loss", "learning_rate", "validation/dice"})
    EXPECT_NE(text_of(events[0]).find(tag), std::string::npos) << tag;

  const Outcome evaluation = run({"evaluate", "--run", "r", "--data", "data", "--threads", "1", "--json", "-"});
  ASSERT_EQ(evaluation.code, 0) << evaluation.err;
  const auto scores = nlohmann::json::parse(evaluation.out);  // and nothing else on standard output
  EXPECT_EQ(scores.at("images"), 5);
  ASSERT_EQ(scores.at("per_image").size(), 5u);
  double sum = 0;
  for (const auto& image : scores.at("per_image")) sum += image.at("jaccard").get<double>();
  EXPECT_NEAR(scores.at("jaccard"), sum / 5, 1e-9);
  EXPECT_LE(scores.at("interval_95").at("jaccard")[0], scores.at("jaccard"));

  const Outcome part =
      run({"evaluate", "--run", "r", "--data", "data", "--threads", "1", "--split", "r/split.csv", "--json", "e.json"});
  EXPECT_EQ(part.code, 0) << part.err;
  EXPECT_EQ(nlohmann::json::parse(text_of(folder_ / "e.json")).at("images"), 1);

  const Outcome prediction =
      run({"predict", "--run", "r", "--out", "p", "--overlay", "--probabilities", "--threads", "1", kImages});
  ASSERT_EQ(prediction.code, 0) << prediction.err;
  for (const auto& id : ids_) {
    const auto photograph = data::probe(image(id));
    for (const char* suffix : {"_segmentation.png", "_overlay.png"}) {
      const auto picture = data::probe(folder_ / "p" / (id + suffix));
      EXPECT_EQ(picture.width, photograph.width);
      EXPECT_EQ(picture.height, photograph.height);
    }
    const auto mask = data::read_mask(folder_ / "p" / (id + "_segmentation.png"));
    EXPECT_TRUE(
        std::all_of(mask.grey.pixels.begin(), mask.grey.pixels.end(), [](int p) { return p == 0 || p == 255; }));
    const auto bytes = 4u * static_cast<unsigned>(photograph.width) * static_cast<unsigned>(photograph.height);
    EXPECT_EQ(fs::file_size(folder_ / "p" / (id + "_probability.npy")) / 1000, (bytes + 128) / 1000);
  }

  const Outcome report = run({"report", "r", "--threads", "1"});
  ASSERT_EQ(report.code, 0) << report.err;
  EXPECT_NE(text_of(folder_ / "r/report.html").find("</html>"), std::string::npos);
}

TEST_F(CommandLine, OverwritingARunLeavesNoneOfItsEvents) {
  train("r");
  const auto old = fs::path(event_files(folder_ / "r").at(0)).replace_filename("events.out.tfevents.1.old.dermatome.0");
  fs::rename(event_files(folder_ / "r").at(0), old);
  ASSERT_EQ(run(training("r", {"epochs=1", "--overwrite"})).code, 0);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_EQ(event_files(folder_ / "r").size(), 1u);
}

TEST_F(CommandLine, ADryRunWritesNothing) {
  const Outcome fresh = run(training("r", {"--dry-run", "epochs=2"}));
  EXPECT_EQ(fresh.code, 0) << fresh.err;
  for (const char* part :
       {"stage 1: 32 px, batch 2, 2 epochs of 2 steps", "the run would be written to r", "nothing was written"})
    EXPECT_NE(fresh.out.find(part), std::string::npos) << part << " not in " << fresh.out;
  const Outcome cached = run(training("r", {"--dry-run", "epochs=2", "--cache", "c"}));
  EXPECT_EQ(cached.code, 0) << cached.err;
  EXPECT_NE(cached.out.find("cache          0 of 5 pairs at 32 px are in c; 5 to add, "), std::string::npos)
      << cached.out;
  for (const char* made : {"r", "c"}) EXPECT_FALSE(fs::exists(folder_ / made)) << made;
}

TEST_F(CommandLine, ADryRunIsRefusedWhereTheRunWouldBe) {
  expect_refused(1, training("tiny.graph", {"--dry-run"}), {"tiny.graph cannot be made: it is a file"});
  expect_refused(1, training("tiny.graph/r", {"--dry-run"}), {"tiny.graph/r cannot be made", "tiny.graph is a file"});
  expect_refused(1, training("r", {"--dry-run", "--cache", "data"}), {"data holds other files and is no cache"});
}

TEST_F(CommandLine, ADryRunSaysWhatWouldBecomeOfAUsedFolder) {
  train("r");
  const auto contents = [&] {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder_ / "r")) files[entry.path()] = text_of(entry.path());
    return files;
  };
  const auto before = contents();
  const Outcome used = run(training("r", {"--dry-run"}));
  EXPECT_EQ(used.code, 0) << used.err;
  EXPECT_NE(used.out.find("refused without --resume or --overwrite"), std::string::npos) << used.out;
  const Outcome overwriting = run(training("r", {"--dry-run", "--overwrite"}));
  EXPECT_EQ(overwriting.code, 0) << overwriting.err;
  EXPECT_NE(overwriting.out.find("the run in r would be replaced"), std::string::npos) << overwriting.out;
  EXPECT_EQ(contents(), before);
  expect_refused(2, {"train", "--run", "r", "--resume", "--dry-run"}, {"--dry-run", "--resume"});
}

TEST_F(CommandLine, PredictsATurnedPhotographInItsStoredGrid) {
  train("r");
  const auto picture = data::testing::smooth_image(48, 32);
  folder_.add("turned.jpg",
              data::testing::make_jpeg(picture.pixels, 48, 32, {.app1 = data::testing::exif_block(6, true)}));
  const Outcome outcome = run({"predict", "--run", "r", "--out", "p", "--overlay", "--threads", "1", "turned.jpg"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* name : {"p/turned_segmentation.png", "p/turned_overlay.png"}) {
    EXPECT_EQ(data::probe(folder_ / name).width, 48) << name;
    EXPECT_EQ(data::probe(folder_ / name).height, 32) << name;
  }
}

TEST_F(CommandLine, TrainsWithoutValidation) {
  const Outcome outcome = run(training("r", {"epochs=1", "--validation-share", "0"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(folder_ / "r/best.safetensors"));
}

TEST_F(CommandLine, SameSeedGivesTheSameFiles) {
  for (const char* name : {"a", "b"}) ASSERT_EQ(run(training(name, {"epochs=2", "--seed", "5"})).code, 0);
  for (const char* file : {"steps.csv", "split.csv", "resolved.toml", "last.safetensors", "best.safetensors"}) {
    EXPECT_EQ(text_of(folder_ / "a" / file), text_of(folder_ / "b" / file)) << file;
  }
}

TEST_F(CommandLine, SameSeedGivesTheSameFilesInBf16) {
  const auto in_bf16 = [](const char* name) { return training(name, {"epochs=2", "--type", "bf16"}); };
  const Outcome first = run(in_bf16("a"));
  if (first.code == 2) GTEST_SKIP() << first.err;  // the processor lacks it
  ASSERT_EQ(first.code, 0) << first.err;
  ASSERT_EQ(run(in_bf16("b")).code, 0);
  for (const char* file : {"steps.csv", "last.safetensors", "best.safetensors"}) {
    EXPECT_EQ(text_of(folder_ / "a" / file), text_of(folder_ / "b" / file)) << file;
  }
}

// Waits until steps are logged, then signals.
Outcome stop_with(int number, const fs::path& folder, const std::vector<std::string>& arguments) {
  Process process(folder, arguments);
  process.wait_until([&] {
    const std::string steps = text_of(folder / "r/steps.csv");
    return std::count(steps.begin(), steps.end(), '\n') >= 3;
  });
  process.signal(number);
  return process.wait();
}

TEST_F(CommandLine, AnInterruptedTrainingLeavesItsStateAndExits130) {
  const Outcome outcome = stop_with(SIGINT, folder_.path(), training("r", {"epochs=1000000"}));
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  EXPECT_NE(outcome.err.find("last.safetensors"), std::string::npos) << outcome.err;
  EXPECT_NO_THROW(read_safetensors(folder_ / "r/last.safetensors", Integrity::required));
  EXPECT_EQ(run({"predict", "--weights", "r/last.safetensors", "--out", "p", "--threads", "1", kImages}).code, 0);
  const Outcome report = run({"report", "r", "--threads", "1"});
  EXPECT_EQ(report.code, 0) << report.err;
}

TEST_F(CommandLine, ATerminatedTrainingExits143) {
  const Outcome outcome = stop_with(SIGTERM, folder_.path(), training("r", {"epochs=1000000"}));
  EXPECT_EQ(outcome.code, 143) << outcome.err;
  EXPECT_NO_THROW(read_safetensors(folder_ / "r/last.safetensors", Integrity::required));
}

// Stopped in its first epoch: there is nothing to draw a curve of.
TEST_F(CommandLine, ReportsOnARunStoppedInItsFirstEpoch) {
  for (int i = 0; i < 40; ++i) {
    const std::string id = "ISIC_" + std::to_string(9000000 + i);
    fs::copy_file(image(ids_[0]), image(id));
    fs::copy_file(mask(ids_[0]), mask(id));
  }
  const Outcome outcome = stop_with(SIGINT, folder_.path(), training("r", {"epochs=2", "size=256", "batch=1"}));
  ASSERT_EQ(outcome.code, 130) << outcome.err;
  const Outcome report = run({"report", "r", "--threads", "1"});
  EXPECT_TRUE(report.code == 0 || report.err.starts_with("dermatome: ")) << report.err;
}

TEST_F(CommandLine, ConfigPrintsARecipeThatTrainAccepts) {
  const Outcome config = run({"config", "model=tiny.graph", "size=32", "batch=2", "epochs=1", "lr.late=1e-2"});
  ASSERT_EQ(config.code, 0) << config.err;
  folder_.add("recipe.toml", std::string_view(config.out));
  const Outcome outcome = run({"train", "--data", "data", "--run", "r", "--threads", "1", "recipe.toml"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(text_of(folder_ / "r/resolved.toml"), config.out);
}

TEST_F(CommandLine, JsonOnStandardOutputStandsAlone) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"graph", "tiny.graph", "--size", "32", "--json", "-"},
        {"bench", "step", "--model", "tiny.graph", "--size", "32", "--batch", "1", "--seconds", "0.01", "--threads",
         "1", "--json", "-"}}) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(nlohmann::json::accept(outcome.out)) << outcome.out;
  }
}

}  // namespace
}  // namespace dermatome::cli

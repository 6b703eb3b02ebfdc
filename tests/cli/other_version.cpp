// Folders of runs that another version made: what this one does not understand is said with both versions.
#include <nlohmann/json.hpp>

#include "models/safetensors.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

constexpr const char* kUnknown = "flavour = 3\n";  // a setting of the other version

class OtherVersion : public CommandLine {
 protected:
  // As if dermatome 99.0 had trained r.
  void make_foreign() const {
    for (const char* name : {"last.safetensors", "best.safetensors"}) {
      TensorFile file = read_safetensors(folder_ / "r" / name);
      auto info = nlohmann::json::parse(file.metadata.at("dermatome"));
      info["version"] = "99.0";
      info["recipe"] = kUnknown + info.at("recipe").get<std::string>();
      file.metadata.at("dermatome") = info.dump();
      write_safetensors(folder_ / "r" / name, file, Integrity::required);
    }
    auto run = nlohmann::json::parse(text_of(folder_ / "r/run.json"));
    run["version"] = "99.0";
    folder_.add("r/run.json", std::string_view(run.dump()));
    folder_.add("r/resolved.toml", std::string_view(kUnknown + text_of(folder_ / "r/resolved.toml")));
  }
};

TEST_F(OtherVersion, IsNamedByWhateverReadsTheRun) {
  train("r");
  make_foreign();
  const std::string sentence = "the run is of dermatome 99.0 and its recipe is not understood by this one (";
  const std::string of_checkpoint = "r/best.safetensors:1: there is no setting 'flavour'";
  expect_refused(1, {"evaluate", "--run", "r", "--data", "data", "--threads", "1"}, {sentence, of_checkpoint});
  expect_refused(1, {"predict", "--run", "r", "--out", "p", "--threads", "1", kImages}, {sentence, of_checkpoint});
  EXPECT_FALSE(fs::exists(folder_ / "p"));
  expect_refused(1, {"train", "--run", "r", "--resume", "--threads", "1"}, {sentence, "r/last.safetensors:1: "});
  expect_refused(1, {"report", "r", "--threads", "1"}, {sentence, "r/resolved.toml:1: there is no setting 'flavour'"});
}

TEST_F(OtherVersion, IsNamedWithoutACheckpoint) {
  train("r");
  make_foreign();
  for (const char* name : {"last.safetensors", "best.safetensors"}) fs::remove(folder_ / "r" / name);
  expect_refused(1, {"report", "r", "--threads", "1"}, {"the run is of dermatome 99.0 and its recipe", "'flavour'"});
  folder_.add("r/run.json", std::string_view("{}"));
  expect_refused(1, {"report", "r", "--threads", "1"}, {"the run is of dermatome (version unknown) and its recipe"});
}

TEST_F(OtherVersion, OfFoldsIsNamed) {
  ASSERT_EQ(run(training("r", {"epochs=1", "--folds", "2"})).code, 0);
  folder_.add("r/resolved.toml", std::string_view(kUnknown + text_of(folder_ / "r/resolved.toml")));
  expect_refused(1, {"report", "r", "--threads", "1"}, {"the run is of dermatome ", "r/resolved.toml:1: "});
}

}  // namespace
}  // namespace dermatome::cli

// Comparing a run's checkpoint with what it is to go on with.
#include "tools/training/resume.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "data/files.h"
#include "engine/core/error.h"
#include "tools/training/run_folder.h"
#include "tools/version.h"

namespace dermatome::training {
namespace {

const std::vector<std::string> kFixedInRun{"model", "seed", "resize", "colour_constancy", "mask_resize", "best_by"};
const std::vector<std::string> kFixedInStage{"size", "batch", "accumulate", "frozen", "batch_norm", "ema"};

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// "a, b and 3 more"
std::string examples(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 2;
  const std::size_t shown = std::min(kShown, names.size());
  std::string text =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

using Entries = std::vector<DataFingerprint::Entry>;

std::vector<std::string> only_in(const Entries& these, const Entries& those) {
  std::vector<std::string> names;
  for (const auto& entry : these) {
    if (std::none_of(those.begin(), those.end(), [&](const auto& other) { return other.id == entry.id; }))
      names.push_back(entry.id);
  }
  return names;
}

// A rate is found once a stage.
void check_same_sweep(const Recipe& of_run, const Recipe& recipe, int stage) {
  for (const auto& difference : differences(of_run, recipe)) {
    if (difference.stage == stage && difference.key.starts_with("find_"))
      fail_usage("stage {} has found its rate and keeps its {} ({}); {} = {} needs a stage or a run of its own", stage,
                 difference.key, difference.a, difference.key, difference.b);
  }
}

void check_same_ids(const Entries& then, const Entries& now, const char* purpose) {
  const auto missing = only_in(then, now);
  const auto added = only_in(now, then);
  const char* advice = "give --resume the data that the run began with, or start another run";
  if (!missing.empty()) fail("the run {} {}, which the data do not hold now; {}", purpose, examples(missing), advice);
  if (!added.empty()) fail("the run never {} {}, which the data hold now; {}", purpose, examples(added), advice);
  for (std::size_t i = 0; i < then.size(); ++i) {
    if (then[i].id != now[i].id)
      fail("the run {} its photographs in another order ({} before {}); {}", purpose, then[i].id, now[i].id, advice);
  }
}

void check_same_files(const DataFingerprint& then, const DataFingerprint& now) {
  std::vector<std::string> changed;
  const auto compare = [&](const Entries& a, const Entries& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (a[i].hash != b[i].hash) changed.push_back(a[i].id);
    }
  };
  compare(then.train, now.train);
  compare(then.validation, now.validation);
  if (changed.empty()) return;
  fail(
      "the photograph or the mask of {} is not what it was when the run began; put the old files back, or start "
      "another run",
      examples(changed));
}

[[noreturn]] void fail_of_version(const std::string& version, const UsageError& error) {
  fail("the run is of dermatome {} and its recipe is not understood by this one ({}): {}", version, kVersion,
       error.what());
}

std::string version_of_run(const std::filesystem::path& run) {
  for (const char* name : {"last.safetensors", "best.safetensors"}) {
    if (std::filesystem::exists(run / name)) return read_checkpoint(run / name, true).info.version;
  }
  const std::string unknown = "(version unknown)";
  return std::filesystem::exists(run / "run.json") ? read_run_json(run).value("version", unknown) : unknown;
}

}  // namespace

Checkpoint read_resumable(const std::filesystem::path& last) {
  Checkpoint checkpoint = read_checkpoint(last);
  DERMATOME_CHECK(
      checkpoint.info.format == kCheckpointVersion,
      "{} was written in the earlier format {}, whose run cannot be resumed by this version (format {}): its "
      "weights still evaluate and predict; to train further, start another run",
      last.string(), checkpoint.info.format, kCheckpointVersion);
  return checkpoint;
}

Recipe recipe_of_run(const Checkpoint& checkpoint, const std::filesystem::path& file) {
  try {
    return parse_recipe(checkpoint.info.recipe, file.string());
  } catch (const UsageError& error) {
    fail_of_version(checkpoint.info.version, error);
  }
}

Recipe read_recipe_of_run(const std::filesystem::path& file, const std::filesystem::path& run) {
  try {
    const auto bytes = data::read_file(file);
    return parse_recipe({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string());
  } catch (const UsageError& error) {
    fail_of_version(version_of_run(run), error);
  }
}

Recipe continued(const Recipe& of_run, const Recipe& wanted, const Position& position,
                 const std::map<int, double>& found_rates) {
  const auto current = static_cast<std::size_t>(position.stage);
  if (wanted.stages.size() <= current) {
    fail_usage("the recipe has {} stage{} but stage {} of the run has begun", wanted.stages.size(),
               wanted.stages.size() == 1 ? "" : "s", current + 1);
  }
  Recipe recipe = wanted;
  for (std::size_t s = 0; s < current; ++s) recipe.stages[s] = of_run.stages[s];
  const StageSettings& old_stage = of_run.stages[current];
  StageSettings& stage = recipe.stages[current];
  const bool done = position.epoch >= old_stage.epochs;
  if (done && stage.epochs <= position.epoch) stage = old_stage;

  const bool begun = position.epoch > 0 || position.step > 0;
  for (const auto& difference : differences(of_run, recipe)) {
    if (difference.stage == 0 && contains(kFixedInRun, difference.key)) {
      fail_usage("a resumed run keeps its {} ({}); {} = {} needs a run of its own", difference.key, difference.a,
                 difference.key, difference.b);
    }
    if (begun && difference.stage == position.stage + 1 && contains(kFixedInStage, difference.key)) {
      fail_usage("stage {} has begun and keeps its {} ({}); {} = {} needs a stage or a run of its own",
                 difference.stage, difference.key, difference.a, difference.key, difference.b);
    }
  }
  if (stage.find_lr && found_rates.contains(position.stage)) check_same_sweep(of_run, recipe, position.stage + 1);
  if (begun && stage.find_lr && !old_stage.find_lr)
    fail_usage("stage {} has begun with lr = {}, and rates are only found at the start of a stage; give lr a number",
               current + 1, rates_text(old_stage));
  const int least = position.epoch + (position.step > 0 ? 1 : 0);
  if (stage.epochs < least)
    fail_usage("epochs = {} is too few: epoch {} of stage {} has begun", stage.epochs, least, current + 1);
  return recipe;
}

bool is_finished(const Recipe& recipe, const Position& position) {
  return static_cast<std::size_t>(position.stage) + 1 == recipe.stages.size() &&
         position.epoch >= recipe.stages.back().epochs;
}

std::vector<std::string> differences_that_matter(const CheckpointInfo& then, const CheckpointInfo& now) {
  std::vector<std::string> changes;
  const auto compare = [&](const char* what, const std::string& a, const std::string& b) {
    if (a != b) changes.push_back(fmt::format("{} {}, now {}", what, a.empty() ? "none" : a, b.empty() ? "none" : b));
  };
  compare("dermatome", then.version, now.version);
  compare("processor", then.processor, now.processor);
  compare("device", then.device, now.device);
  compare("instruction set", then.instruction_set, now.instruction_set);
  compare("type", then.type, now.type);
  compare("threads", std::to_string(then.threads), std::to_string(now.threads));
  compare("disabled", fmt::format("{}", fmt::join(then.disabled, " ")),
          fmt::format("{}", fmt::join(now.disabled, " ")));
  std::vector<std::string> sentences;
  if (!changes.empty()) {
    sentences.push_back(
        fmt::format("the last part of the run had {}: the bits will not be those of a run that was never stopped",
                    fmt::join(changes, "; ")));
  }
  if (!now.graph_text.empty() && then.graph_text != now.graph_text) {
    sentences.push_back(
        "the model's text has changed since the run began: the run goes on with the text of its checkpoint");
  }
  return sentences;
}

std::string settings_that_change(const Recipe& of_run, const Recipe& now) {
  std::vector<std::string> changes;
  for (const auto& d : differences(of_run, now)) {
    if (d.key == "checkpoint_every") continue;  // changes no bit
    changes.push_back(
        fmt::format("{}{} {} -> {}", d.stage > 0 ? fmt::format("stage {}: ", d.stage) : "", d.key, d.a, d.b));
  }
  for (std::size_t s = of_run.stages.size(); s < now.stages.size(); ++s)
    changes.push_back(fmt::format("stage {} is new", s + 1));
  for (std::size_t s = now.stages.size(); s < of_run.stages.size(); ++s)
    changes.push_back(fmt::format("stage {} is left out", s + 1));
  return changes.empty() ? "" : fmt::format("settings change from here on: {}", fmt::join(changes, "; "));
}

void check_same_data(const DataFingerprint& then, const DataFingerprint& now) {
  check_same_ids(then.train, now.train, "trained on");
  check_same_ids(then.validation, now.validation, "validated on");
  check_same_files(then, now);
}

}  // namespace dermatome::training

// dermatome train --folds: cross-validation, one run a fold, that can be stopped and gone on with as one run can.
#include <fmt/ranges.h>

#include <filesystem>

#include "data/files.h"
#include "engine/core/error.h"
#include "tools/fold_runs.h"
#include "tools/progress.h"
#include "tools/signals.h"
#include "tools/train_command.h"
#include "tools/training/run_folder.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

std::vector<int> wanted_folds(const TrainCommand& command, int folds) {
  if (command.fold > folds) fail_usage("--fold {} does not exist: there are {} folds", command.fold, folds);
  std::vector<int> wanted;
  for (int fold = 1; fold <= folds; ++fold) {
    if (command.fold == 0 || command.fold == fold) wanted.push_back(fold);
  }
  return wanted;
}

TrainCommand command_of(const TrainCommand& command, const FoldRuns& runs, int fold) {
  TrainCommand one = command;
  one.run = runs.run_of(fold).string();
  return one;
}

// Refused before anything is read: a fold that is there already, or a folder that cannot be written.
void check_folders(const TrainCommand& command, const FoldRuns& runs) {
  if (training::holds_run(runs.folder)) {
    fail_usage("{} holds a run already, not folds; take another folder", runs.folder.string());
  }
  for (const int fold : wanted_folds(command, runs.folds)) {
    if (command.overwrite || !training::holds_run(runs.run_of(fold))) continue;
    fail_usage(
        "{} holds fold {} already; go on with the folds (--resume), replace them (--overwrite), or take another "
        "folder",
        runs.folder.string(), fold);
  }
  training::check_run_folder_is_writable(runs.folder);
}

// Other folds may have been begun by an earlier command: this one must go by the same photographs and settings.
void check_same_folds(const FoldRuns& runs, const FoldedSamples& folded, const std::string& recipe) {
  const FoldRuns begun = read_fold_runs(runs.folder);
  const auto differs = [&](const std::string& what) {
    fail_usage("the folds in {} were begun with {}; say the same, or take another folder", runs.folder.string(), what);
  };
  if (begun.folds != runs.folds) differs(fmt::format("--folds {}", begun.folds));
  if (data::read_folds_csv(runs.split(), folded.ids, static_cast<std::size_t>(runs.folds)) != folded.folds)
    differs("another split (--seed, --test-share or --groups)");
  const auto bytes = data::read_file(runs.recipe());
  if (std::string(bytes.begin(), bytes.end()) != recipe) differs("other settings");
}

bool any_begun(const FoldRuns& runs) {
  for (int fold = 1; fold <= runs.folds; ++fold) {
    if (training::holds_run(runs.run_of(fold))) return true;
  }
  return false;
}

void write_folds(const TrainCommand& command, const FoldRuns& runs, const FoldedSamples& folded,
                 const std::string& recipe) {
  fs::create_directories(runs.folder);
  nlohmann::json info = command.data->to_json();
  info.update(environment_json(command));
  info["folds"] = runs.folds;
  info["weights"] = command.weights.empty() ? "" : fs::absolute(command.weights).string();
  data::write_folds_csv(runs.split(), folded.ids, folded.folds, folded.groups);
  data::write_file(runs.recipe(), std::string_view(recipe));
  data::write_file(runs.folder / "folds.json", std::string_view(info.dump(2) + "\n"));
}

std::string sizes_text(const FoldedSamples& folded, int folds) {
  std::vector<std::size_t> sizes(static_cast<std::size_t>(folds));
  std::size_t test = 0;
  for (const auto& fold : folded.folds) ++(fold ? sizes[*fold] : test);
  return fmt::format("{} photographs in {} folds of {}{}", folded.ids.size(), folds, fmt::join(sizes, ", "),
                     test > 0 ? fmt::format("; {} kept for a test", test) : "");
}

// Of all folds that have one; nothing where a signal ended the training.
void summarise(const FoldRuns& runs) {
  const auto results = results_of(runs);
  if (results.empty()) return;
  Progress progress;
  progress.message(fmt::format("{} of {} folds; each fold's best epoch on its validation part, at the network's size",
                               results.size(), runs.folds));
  fmt::print("{}", to_text(results));
  data::write_file(runs.summary(), std::string_view(to_csv(results)));
}

template <typename Train>
void each_fold(const TrainCommand& command, const FoldRuns& runs, const Train& train) {
  for (const int fold : wanted_folds(command, runs.folds)) {
    Progress().message(fmt::format("fold {} of {}, in {}", fold, runs.folds, runs.run_of(fold).string()));
    train(fold);
    if (received_signal() != 0) return;
  }
  summarise(runs);
}

void start_folds(const TrainCommand& command) {
  const FoldRuns runs{.folder = command.run, .folds = command.folds, .info = {}};
  if (!command.dry_run) check_folders(command, runs);
  const training::Recipe recipe = recipe_of(command, {});
  const std::string recipe_text = training::to_toml(recipe, true);
  Progress progress;
  const auto cache =
      command.data->open_cache(command.dry_run ? data::Cache::Access::read_only : data::Cache::Access::read_write);
  const FoldedSamples folded = fold_samples(*command.data, *command.split, static_cast<std::size_t>(runs.folds),
                                            recipe.seed, cache.get(), progress);
  progress.message(sizes_text(folded, runs.folds));
  const auto split = [&](int fold) { return split_of_fold(folded, static_cast<std::size_t>(fold - 1)); };
  if (command.dry_run) {
    const int first = wanted_folds(command, runs.folds).front();
    const SplitData data = split(first);
    progress.message(fmt::format("fold {} of {}, as all of them", first, runs.folds));
    plan_run(command_of(command, runs, first), &data);
    return;
  }
  const bool join = holds_folds(runs.folder) && any_begun(runs) && (command.fold != 0 || !command.overwrite);
  if (join) {
    check_same_folds(runs, folded, recipe_text);
  } else {
    write_folds(command, runs, folded, recipe_text);
  }
  each_fold(command, runs, [&](int fold) {
    const SplitData data = split(fold);
    start_run(command_of(command, runs, fold), &data);
  });
}

// A fold that was not begun starts from what the folds were begun with.
TrainCommand beginning_of(const TrainCommand& command, const FoldRuns& runs, int fold) {
  TrainCommand one = command_of(command, runs, fold);
  one.resume = false;
  one.data = data_of_run(*command.data, runs.info);
  one.weights = runs.info.value("weights", "");
  one.recipe = std::make_shared<RecipeOptions>(*command.recipe);
  std::vector<std::string>& settings = one.recipe->settings;
  const bool recipe_given = std::any_of(settings.begin(), settings.end(),
                                        [](const std::string& setting) { return setting.ends_with(".toml"); });
  if (!recipe_given) settings.insert(settings.begin(), runs.recipe().string());
  return one;
}

void resume_folds(const TrainCommand& command) {
  const FoldRuns runs = read_fold_runs(command.run);
  if (command.folds != 0 && command.folds != runs.folds)
    fail_usage("{} holds {} folds, not {}", command.run, runs.folds, command.folds);
  each_fold(command, runs, [&](int fold) {
    if (fs::exists(runs.run_of(fold) / "last.safetensors")) {
      resume_run(command_of(command, runs, fold));
      return;
    }
    const TrainCommand beginning = beginning_of(command, runs, fold);
    Progress progress;
    const SplitData data =
        split_of_fold(read_folds(*beginning.data, runs.split(), static_cast<std::size_t>(runs.folds), progress),
                      static_cast<std::size_t>(fold - 1));
    start_run(beginning, &data);
  });
}

}  // namespace

void train_folds(const TrainCommand& command) {
  if (command.resume) {
    resume_folds(command);
  } else {
    start_folds(command);
  }
}

}  // namespace dermatome

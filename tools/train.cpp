// dermatome train: from a folder of photographs and masks to a run folder.
#include <filesystem>
#include <fstream>
#include <optional>

#include "engine/core/error.h"
#include "engine/core/threads.h"
#include "models/builtin.h"
#include "tools/command.h"
#include "tools/data_options.h"
#include "tools/fold_runs.h"
#include "tools/progress.h"
#include "tools/recipe_options.h"
#include "tools/signals.h"
#include "tools/split_options.h"
#include "tools/train_command.h"
#include "tools/training/initial_weights.h"
#include "tools/training/networks.h"
#include "tools/training/plan.h"
#include "tools/training/resume.h"
#include "tools/training/run_folder.h"
#include "tools/training/trainer.h"
#include "tools/version.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNothingWritten = "stopped before the first step; nothing was written";

struct StartWeights {
  fs::path file;  // empty: all is random
  WeightMatch match;
};

// What --weights names.
StartWeights weights_to_start_from(const TrainCommand& command, const Model& model) {
  if (command.weights.empty()) return {};
  const fs::path file = training::weights_file(command.weights);
  return {.file = file, .match = training::initial_weights(file, model)};
}

// Key by key.
void tell(const StartWeights& weights, const Model& model, Progress& progress) {
  if (weights.file.empty()) {
    progress.message(
        "random weights; --weights FILE starts from trained ones, and docs/weights.md says where to get them");
    return;
  }
  for (const auto& sentence : describe(weights.match, weights.file.string(), model.name())) progress.message(sentence);
}

void warn_of_preset(const TrainCommand& command, Progress& progress) {
  const std::string warning = training::preset_warning(command.recipe->preset, !command.weights.empty());
  if (!warning.empty()) progress.message(warning);
}

void write_start(const TrainCommand& command, const training::RunFolder& folder, const training::Recipe& recipe,
                 const SplitData& split, const StartWeights& weights) {
  folder.clear();
  data::write_split_csv(folder.path() / "split.csv", split.ids, split.parts, split.groups);
  write_text((folder.path() / "resolved.toml").string(), training::to_toml(recipe, true));
  nlohmann::json info = command.data->to_json();
  info.update(environment_json(command));
  const std::string& validation = command.split->validation;
  info["validation"] = validation.empty() ? "" : fs::absolute(validation).string();
  if (!weights.file.empty()) info["weights"] = training::to_json(weights.match, weights.file);
  write_json((folder.path() / "run.json").string(), info);
}

// Where a run went on, and with what.
void write_resumption(const TrainCommand& command, const fs::path& run, const training::Recipe& recipe,
                      const training::Position& position, nlohmann::json info) {
  nlohmann::json entry = environment_json(command);
  entry["steps_done"] = position.steps_done;
  entry["epochs_done"] = position.epochs_done;
  info["resumed"].push_back(entry);
  write_text((run / "resolved.toml").string(), training::to_toml(recipe, true));
  write_json((run / "run.json").string(), info);
}

training::TrainingObserver observer_of(Progress& progress) {
  return {.message = [&](const std::string& text) { progress.message(text); },
          .loading = [&](std::size_t done, std::size_t total) { progress.count("reading", done, total); },
          .ready = {},
          .finding = [&](std::size_t done, std::size_t total) { progress.count("finding the rate", done, total); },
          .step = [&](const training::StepResult& result) { progress.step(result); },
          .validating =
              [&](std::int64_t done, std::int64_t total) {
                progress.count("validating", static_cast<std::size_t>(done), static_cast<std::size_t>(total));
              },
          .epoch = [&](const training::EpochResult& result) { progress.epoch(result); },
          .stop_requested = [] { return received_signal() != 0; }};
}

void tell_end(Progress& progress, const fs::path& run, const training::TrainingResult& result, bool validated,
              training::BestBy best_by) {
  const auto& position = result.position;
  if (result.stopped) {
    progress.message(result.saved
                         ? fmt::format("stopped; the state after {} steps is in {}, and --resume goes on from it",
                                       position.steps_done, (run / "last.safetensors").string())
                         : kNothingWritten);
    set_exit_code(128 + received_signal());
    return;
  }
  if (validated && position.best_epoch > 0) {
    progress.message(fmt::format("best{}: epoch {}, validation Jaccard {:.4f}; weights in {}",
                                 best_by == training::BestBy::jaccard ? "" : " by " + name_of(best_by),
                                 position.best_epoch, position.best_jaccard, (run / "best.safetensors").string()));
  }
}

training::TrainOptions options_of(const TrainCommand& command, const training::Recipe& recipe, data::Cache* cache) {
  CompileOptions compile = command.options->compile;
  if (!command.dry_run) compile.plans = std::filesystem::path(command.run) / "plans.json";
  return {.recipe = recipe,
          .run = command.run,
          .device = command.options->device(),
          .compile = compile,
          .cache = cache,
          .skip_bad = command.data->skip_bad,
          .residence = training::parse_residence(command.photographs),
          .steps_per_launch = command.steps_per_launch,
          .weights = {}};
}

// What the same command without --dry-run would do with the folder.
std::string use_of_folder(const TrainCommand& command) {
  const bool used = training::holds_run(command.run);
  if (!used) return fmt::format("the run would be written to {}", command.run);
  return command.overwrite ? fmt::format("the run in {} would be replaced", command.run)
                           : fmt::format(
                                 "{} holds a run already: training would be refused without --resume or "
                                 "--overwrite",
                                 command.run);
}

// The data and the split that the run began with, unless the command line names where the data are now.
TrainCommand with_data_of_run(TrainCommand command, const nlohmann::json& info) {
  command.data = data_of_run(*command.data, info);
  SplitOptions split{.validation = command.split->validation, .near_duplicates = "ignore"};
  if (split.validation.empty()) split.validation = info.value("validation", "");
  split.split = (fs::path(command.run) / "split.csv").string();
  command.split = std::make_shared<SplitOptions>(split);
  return command;
}

// The model's text in its file, for comparison; empty where that is gone or broken, which resuming does not mind.
std::string model_text(const std::string& model) {
  try {
    return find_model(model).canonical_text();
  } catch (const Error&) {
    return "";
  }
}

void tell_differences(Progress& progress, const training::Checkpoint& checkpoint, const training::Recipe& of_run,
                      const training::TrainOptions& options) {
  training::CheckpointInfo now = training::environment(options.device, options.compile);
  now.graph_text = model_text(options.recipe.model);
  for (const auto& text : training::differences_that_matter(checkpoint.info, now)) progress.message(text);
  const auto settings = training::settings_that_change(of_run, options.recipe);
  if (!settings.empty()) progress.message(settings);
}

}  // namespace

training::Recipe recipe_of(const TrainCommand& command, const training::Recipe& base) {
  training::Recipe recipe = command.recipe->recipe(!command.weights.empty(), base);
  if (command.seed_given) recipe.seed = command.seed;
  return recipe;
}

nlohmann::json environment_json(const TrainCommand& command) {
  return {{"version", kVersion},
          {"threads", threads()},
          {"type", command.options->type_name},
          {"instruction_set", std::string(name_of(instruction_set()))},
          {"device", to_string(command.options->device())},
          {"processor", cpu_model_name()}};
}

std::shared_ptr<DataOptions> data_of_run(const DataOptions& given, const nlohmann::json& info) {
  DataOptions data = DataOptions::from_json(info);
  if (!given.data.empty() || !given.images.empty()) {
    data.data = given.data;
    data.images = given.images;
    data.masks = given.masks;
  }
  if (!given.cache.empty()) data.cache = given.cache;
  data.skip_bad |= given.skip_bad;
  return std::make_shared<DataOptions>(data);
}

void start_run(const TrainCommand& command, const SplitData* given) {
  const training::Recipe recipe = recipe_of(command, {});
  const Model model = find_model(recipe.model);
  training::check_model(recipe, model);
  const auto use = command.overwrite ? training::FolderUse::overwrite : training::FolderUse::fresh;
  training::check_run_folder(command.run, use);
  Progress progress;
  const StartWeights weights = weights_to_start_from(command, model);
  const auto cache = command.data->open_cache();
  const SplitData split =
      given != nullptr ? *given : split_samples(*command.data, *command.split, recipe.seed, cache.get(), progress);
  const training::RunFolder folder(command.run, use);
  progress.message(fmt::format("{} photographs to train on, {} to validate; {} from {}; {} on {} ({}), {}",
                               split.data.train.size(), split.data.validation.size(), model.name(),
                               command.weights.empty() ? "random weights" : command.weights,
                               to_string(command.options->device()), training::threads_text(threads()),
                               name_of(instruction_set()), command.options->type_name));
  tell(weights, model, progress);
  if (const auto losses = training::losses_text(recipe); losses != "bce") {
    progress.message(fmt::format("loss: {}", losses));
  }
  warn_of_preset(command, progress);
  auto observer = observer_of(progress);
  observer.ready = [&] { write_start(command, folder, recipe, split, weights); };
  auto options = options_of(command, recipe, cache.get());
  options.weights = weights.match.loaded;
  const auto result = training::train(options, split.data, observer);
  tell_end(progress, folder.path(), result, !split.data.validation.empty(), recipe.best_by);
}

void plan_run(const TrainCommand& command, const SplitData* given) {
  const training::Recipe recipe = recipe_of(command, {});
  const Model model = find_model(recipe.model);
  training::check_model(recipe, model);
  training::check_run_folder_is_writable(command.run);
  Progress progress;
  const StartWeights weights = weights_to_start_from(command, model);
  const auto cache = command.data->open_cache(data::Cache::Access::read_only);
  const SplitData split =
      given != nullptr ? *given : split_samples(*command.data, *command.split, recipe.seed, cache.get(), progress);
  tell(weights, model, progress);
  warn_of_preset(command, progress);
  const auto plan = training::measure_plan(model, options_of(command, recipe, cache.get()), split.data);
  progress.clear();
  fmt::print("{}{}; nothing was written\n", training::to_text(plan, split.data), use_of_folder(command));
  const auto space = training::little_space(command.run, plan.checkpoint);
  if (!space.empty()) fmt::print("{}\n", space);
}

void resume_run(const TrainCommand& given) {
  training::check_run_folder(given.run, training::FolderUse::resume);
  const training::RunFolder folder(given.run, training::FolderUse::resume);
  const fs::path last = folder.path() / "last.safetensors";
  training::Checkpoint checkpoint = training::read_resumable(last);
  const training::Position& position = checkpoint.info.position;
  const training::Recipe of_run = training::recipe_of_run(checkpoint, last);
  const training::Recipe recipe =
      training::continued(of_run, recipe_of(given, of_run), position, checkpoint.info.found_rates);
  training::check_model(recipe, Model::parse(checkpoint.info.graph_text, last.string()));
  Progress progress;
  if (training::is_finished(recipe, position)) {
    auto options = options_of(given, recipe, nullptr);
    options.resume = &checkpoint;
    tell_end(progress, folder.path(), training::train(options, {}, {}), position.best_jaccard > 0, recipe.best_by);
    progress.message(
        fmt::format("{} is finished: all its {} epochs are done; epochs=N with a larger N goes on with its last stage",
                    given.run, position.epochs_done));
    return;
  }
  nlohmann::json info = training::read_run_json(folder.path());
  const TrainCommand command = with_data_of_run(given, info);
  const auto cache = command.data->open_cache();
  const SplitData split = split_samples(*command.data, *command.split, recipe.seed, cache.get(), progress);
  auto options = options_of(command, recipe, cache.get());
  options.resume = &checkpoint;
  tell_differences(progress, checkpoint, of_run, options);
  progress.message(fmt::format("going on with {} behind epoch {} and step {}", command.run, position.epochs_done,
                               position.steps_done));
  progress.best({.epoch = position.best_epoch, .jaccard = position.best_jaccard});
  auto observer = observer_of(progress);
  observer.ready = [&] { write_resumption(command, folder.path(), recipe, position, info); };
  tell_end(progress, folder.path(), training::train(options, split.data, observer), !split.data.validation.empty(),
           recipe.best_by);
}

namespace {

void run_train(const TrainCommand& command) {
  command.options->apply();
  command.options->device();
  const bool folds = command.folds > 0 || (command.resume && holds_folds(command.run));
  if (command.fold > 0 && !folds)
    fail_usage("--fold {} needs --folds N, or --resume with a folder of folds", command.fold);
  if (!command.dry_run) catch_signals();
  try {
    if (folds) {
      train_folds(command);
    } else if (command.dry_run) {
      plan_run(command);
    } else if (command.resume) {
      resume_run(command);
    } else {
      start_run(command);
    }
  } catch (const StoppedBySignal&) {
    Progress().message(kNothingWritten);
    set_exit_code(128 + received_signal());
  }
}

}  // namespace

void add_train(CLI::App& app) {
  auto* sub = app.add_subcommand("train", "Train on a folder of photographs and masks");
  auto command = std::make_shared<TrainCommand>();
  command->data = add_data_options(*sub);
  sub->add_option("--run", command->run, "Folder for the run: checkpoints, logs, settings")->required();
  std::vector<CLI::Option*> choosing;
  command->split = add_split_options(*sub, choosing);
  auto* folds = sub->add_option("--folds", command->folds,
                                "Cross-validation: as many runs, each validated on a part that the others train on")
                    ->check(CLI::Range(2, 100));
  sub->add_option("--fold", command->fold, "Only this one of the folds, from 1")->check(CLI::Range(1, 100));
  for (const char* name : {"--validation", "--validation-share", "--split"}) folds->excludes(sub->get_option(name));
  sub->add_option("--seed", command->seed, "Instead of the recipe's seed")
      ->check(CLI::Range(std::int64_t{0}, INT64_MAX));  // what a recipe can hold
  auto* dry = sub->add_flag("--dry-run", command->dry_run,
                            "Only print stages, steps, rates, memory and time, measured by a few steps; write nothing");
  auto* overwrite = sub->add_flag("--overwrite", command->overwrite, "Replace the run that the folder holds");
  auto* resuming = sub->add_flag("--resume", command->resume,
                                 "Go on with the run from its last checkpoint; data and settings are the run's")
                       ->excludes(overwrite)
                       ->excludes(dry);
  for (auto* option : choosing) resuming->excludes(option);
  sub->add_option(
         "--steps-per-launch", command->steps_per_launch,
         "On a GPU, steps that run behind one launch, to the same bits; their losses, a stop that is asked for "
         "and a checkpoint by minutes wait for the last of them")
      ->capture_default_str()
      ->check(CLI::Range(1, kMostStepsPerLaunch));
  sub->add_option("--photographs", command->photographs,
                  "On a GPU, where they lie: in its memory (device), in the host's with a batch on its way (host), or "
                  "on the device where they take no more than half of its memory (auto)")
      ->capture_default_str()
      ->check(CLI::IsMember(training::residence_names()));
  sub->add_option("--weights", command->weights,
                  "Start from these: weights of PyTorch (.pth), safetensors, or an earlier run's folder")
      ->excludes(resuming);
  command->recipe =
      add_recipe_options(*sub, "A recipe (.toml) and key=value assignments, e.g. lr=3e-4 size=256 batch=4", false);
  resuming->excludes(sub->get_option("--preset"));
  command->options = add_run_options(*sub);
  sub->callback([command, sub] {
    command->seed_given = sub->count("--seed") > 0;
    run_train(*command);
  });
}

}  // namespace dermatome

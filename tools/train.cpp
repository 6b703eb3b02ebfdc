// dermatome train: from a folder of photographs and masks to a run folder.
#include <csignal>
#include <filesystem>
#include <fstream>

#include "engine/core/error.h"
#include "engine/core/threads.h"
#include "models/builtin.h"
#include "tools/command.h"
#include "tools/data_options.h"
#include "tools/progress.h"
#include "tools/training/networks.h"
#include "tools/training/trainer.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

volatile std::sig_atomic_t received_signal = 0;
void remember_signal(int signal) {
  received_signal = signal;
}

struct TrainCommand {
  std::string validation, split, run;
  double validation_share = 0.2;
  double test_share = 0;
  std::vector<std::string> settings;
  std::uint64_t seed = 0;
  bool seed_given = false;
  bool overwrite = false;
  std::shared_ptr<DataOptions> data;
  std::shared_ptr<RunOptions> options;
};

training::Recipe recipe_of(const TrainCommand& command) {
  training::Recipe recipe = training::recipe_of(command.settings);
  if (command.seed_given) recipe.seed = command.seed;
  return recipe;
}

struct SplitData {
  training::TrainingData data;
  std::vector<std::string> ids;
  std::vector<data::Part> parts;
};

void add_part(SplitData& result, const std::vector<data::Sample>& samples, const std::vector<data::Part>& parts) {
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (parts[i] == data::Part::train) result.data.train.push_back(samples[i]);
    if (parts[i] == data::Part::validation) result.data.validation.push_back(samples[i]);
    result.ids.push_back(samples[i].id);
    result.parts.push_back(parts[i]);
  }
}

SplitData split_data(const TrainCommand& command, std::uint64_t seed, const Tell& tell) {
  const auto samples = command.data->samples(tell);
  SplitData result;
  if (!command.validation.empty()) {
    const auto validation = validation_samples(command.validation, command.data->skip_bad, tell);
    DERMATOME_CHECK(validation.front().image != samples.front().image,
                    "{} holds the photographs that are trained on; validate on others", command.validation);
    add_part(result, samples, std::vector(samples.size(), data::Part::train));
    add_part(result, validation, std::vector(validation.size(), data::Part::validation));
    return result;
  }
  std::vector<std::string> ids;
  for (const auto& sample : samples) ids.push_back(sample.id);
  add_part(result, samples,
           command.split.empty()
               ? data::split_by_share(ids, {.validation = command.validation_share, .test = command.test_share}, seed)
               : data::read_split_csv(command.split, ids));
  DERMATOME_CHECK(!result.data.train.empty(), "{} leaves no photograph to train on", command.split);
  return result;
}

// A run that failed before its first step left nothing to lose.
bool holds_run(const fs::path& run) {
  if (fs::exists(run / "last.safetensors") || fs::exists(run / "best.safetensors")) return true;
  std::ifstream steps(run / "steps.csv");
  std::string line;
  return std::getline(steps, line) && std::getline(steps, line);
}

// A folder that holds a run already is emptied only on request.
void prepare_run_folder(const fs::path& run, bool overwrite) {
  std::error_code error;
  fs::create_directories(run, error);
  DERMATOME_CHECK(!error && fs::is_directory(run), "the run folder {} cannot be made ({})", run.string(),
                  error.message());
  if (!overwrite && holds_run(run)) {
    fail_usage("{} holds a run already; take another folder, or pass --overwrite to replace it", run.string());
  }
  for (const char* name :
       {"resolved.toml", "split.csv", "log.csv", "steps.csv", "last.safetensors", "best.safetensors", "report.html"}) {
    fs::remove(run / name);
  }
}

void run_train(const TrainCommand& command) {
  const training::Recipe recipe = recipe_of(command);
  command.options->apply();
  command.options->device();
  const Model model = find_model(recipe.model);
  training::check_groups(recipe, model.groups());
  training::states_of(model, DType::f32);  // an error in the text is told before anything is read or written
  for (const auto& stage : recipe.stages) {
    if (stage.size % model.divisor() != 0) {
      const auto below = stage.size / model.divisor() * model.divisor();
      fail_usage("size={} does not fit {}, whose sides must be divisible by {}; {}{} would do", stage.size,
                 model.name(), model.divisor(), below > 0 ? fmt::format("{} or ", below) : "", below + model.divisor());
    }
  }
  Progress progress;
  const auto cache = command.data->open_cache();
  const SplitData split = split_data(command, recipe.seed, [&](const std::string& text) { progress.message(text); });
  prepare_run_folder(command.run, command.overwrite);
  const fs::path run(command.run);
  data::write_split_csv(run / "split.csv", split.ids, split.parts);
  write_text((run / "resolved.toml").string(), training::to_toml(recipe, true));
  nlohmann::json info = command.data->to_json();
  info.update({{"validation", command.validation.empty() ? "" : fs::absolute(command.validation).string()},
               {"threads", threads()},
               {"type", command.options->type_name},
               {"instruction_set", std::string(name_of(instruction_set()))},
               {"device", to_string(command.options->device())},
               {"processor", cpu_model_name()}});
  write_json((run / "run.json").string(), info);
  progress.message(fmt::format(
      "{} photographs to train on, {} to validate; {} from random weights; {} on {} threads ({}), {}",
      split.data.train.size(), split.data.validation.size(), model.name(), to_string(command.options->device()),
      threads(), name_of(instruction_set()), command.options->type_name));
  std::signal(SIGINT, remember_signal);
  std::signal(SIGTERM, remember_signal);
  const training::TrainingObserver observer{
      .message = [&](const std::string& text) { progress.message(text); },
      .loading = [&](std::size_t done, std::size_t total) { progress.count("reading", done, total); },
      .step = [&](const training::StepResult& result) { progress.step(result); },
      .epoch = [&](const training::EpochResult& result) { progress.epoch(result); },
      .stop_requested = [] { return received_signal != 0; }};
  const auto result = training::train({.recipe = recipe,
                                       .run = run,
                                       .device = command.options->device(),
                                       .compile = command.options->compile,
                                       .cache = cache.get(),
                                       .skip_bad = command.data->skip_bad},
                                      split.data, observer);
  if (result.stopped) {
    progress.message(fmt::format("stopped; the state so far is in {}", (run / "last.safetensors").string()));
    set_exit_code(128 + static_cast<int>(received_signal));
    return;
  }
  const auto best = std::max_element(result.epochs.begin(), result.epochs.end(), [](const auto& a, const auto& b) {
    return a.validation_jaccard < b.validation_jaccard;
  });
  if (!split.data.validation.empty()) {
    progress.message(fmt::format("best: epoch {}, validation Jaccard {:.4f} at {} px; weights in {}", best->epoch,
                                 best->validation_jaccard, best->size, (run / "best.safetensors").string()));
  }
}

}  // namespace

void add_train(CLI::App& app) {
  auto* sub = app.add_subcommand("train", "Train on a folder of photographs and masks");
  auto command = std::make_shared<TrainCommand>();
  command->data = add_data_options(*sub);
  sub->add_option("--run", command->run, "Folder for the run: checkpoints, logs, settings")->required();
  auto* validation = sub->add_option("--validation", command->validation, "Folder of the photographs to validate on");
  auto* share = sub->add_option("--validation-share", command->validation_share, "Share split off to validate on")
                    ->capture_default_str();
  auto* split = sub->add_option("--split", command->split, "CSV with columns image,part (train, validation or test)");
  auto* test = sub->add_option("--test-share", command->test_share,
                               "Share split off for a later test, neither trained on nor validated");
  validation->excludes(share)->excludes(split)->excludes(test);
  split->excludes(share)->excludes(test);
  sub->add_option("--seed", command->seed, "Instead of the recipe's seed")
      ->check(CLI::Range(std::int64_t{0}, INT64_MAX));  // what a recipe can hold
  sub->add_flag("--overwrite", command->overwrite, "Replace the run that the folder holds");
  sub->add_option("settings", command->settings,
                  "A recipe (.toml) and key=value assignments, e.g. lr=3e-4 size=256 batch=4");
  command->options = add_run_options(*sub);
  sub->callback([command, sub] {
    command->seed_given = sub->count("--seed") > 0;
    run_train(*command);
  });
}

}  // namespace dermatome

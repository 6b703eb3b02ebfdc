// dermatome evaluate: the official ISIC scores per photograph and in the mean, at the stored size, of a trained model
// or of masks that lie in a folder.
#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <set>

#include "data/name_list.h"
#include "engine/core/error.h"
#include "tools/command.h"
#include "tools/data_options.h"
#include "tools/model_options.h"
#include "tools/progress.h"
#include "tools/training/evaluation.h"
#include "tools/training/evaluation_masks.h"
#include "tools/training/evaluation_output.h"
#include "tools/training/evaluation_variants.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

struct EvaluateCommand {
  std::string split, part, json, csv, predictions, truth;
  std::uint64_t seed = 42;
  std::shared_ptr<DataOptions> data;
  std::shared_ptr<RunOptions> options;
  std::shared_ptr<ModelOptions> model;
};

struct Result {
  training::Evaluation evaluation;
  std::string heading;
  std::string variants;  // a table of the ways of predicting; empty where there is one
  nlohmann::json about;  // what was scored, for the JSON file
};

Result evaluate_folder(const EvaluateCommand& command, Progress& progress) {
  const auto pairs = training::pair_masks(command.predictions, command.truth);
  if (!pairs.extra.empty()) {
    progress.message(fmt::format("{} predicted mask{} without a true mask {} left out: {}", pairs.extra.size(),
                                 pairs.extra.size() == 1 ? "" : "s", pairs.extra.size() == 1 ? "is" : "are",
                                 data::first_names(pairs.extra)));
  }
  Result result;
  result.evaluation = training::evaluate_masks(
      pairs.pairs, [&](std::size_t done, std::size_t total) { progress.count("scoring", done, total); });
  result.heading = fmt::format("{} masks of {} against {}; means with 95 % intervals", pairs.pairs.size(),
                               command.predictions, command.truth);
  result.about = {{"predictions", command.predictions}, {"truth", command.truth}};
  return result;
}

// The split file of the run that made a checkpoint lies beside it.
fs::path split_of(const fs::path& checkpoint) {
  return checkpoint.parent_path() / "split.csv";
}

// Marks in each variant what its members were trained on.
void mark_trained_on(std::span<const training::Variant> variants, std::vector<training::Evaluation>& evaluations,
                     const std::vector<fs::path>& checkpoints) {
  for (std::size_t v = 0; v < variants.size(); ++v) {
    std::set<std::string> names;
    for (const std::size_t m : variants[v].members) names.merge(training::training_names(split_of(checkpoints[m])));
    training::mark_trained_on(evaluations[v], names);
  }
}

// With a split, the samples of one part of it; without, those of one part of a challenge or all there are.
std::vector<data::Sample> samples_of(const EvaluateCommand& command, const Tell& tell) {
  if (command.split.empty()) {
    return command.data->samples(tell,
                                 command.part.empty() ? std::nullopt : std::optional(data::parse_part(command.part)));
  }
  return training::samples_of_part(command.data->samples(tell), command.split,
                                   command.part.empty() ? data::Part::validation : data::parse_part(command.part));
}

// What of the photographs the cache holds, for each size that they are read at.
void tell_cache(const training::Ensemble& ensemble, const std::vector<data::Sample>& samples, const data::Cache& cache,
                Progress& progress) {
  for (const auto* reader : ensemble.readers()) {
    const data::Preparation preparation = reader->preparation();
    progress.message(data::plan_sentence(cache.plan(samples, preparation), cache.folder(), preparation));
  }
}

Result evaluate_model(const EvaluateCommand& command, Progress& progress) {
  const auto samples = samples_of(command, [&](const std::string& text) { progress.message(text); });
  const auto checkpoints = command.model->checkpoints();
  training::Ensemble ensemble = command.model->open(*command.options, progress);
  const auto ladder = training::ladder_of(ensemble, command.model->names(), command.model->postprocessing);
  const auto cache = command.data->open_cache();
  if (cache) tell_cache(ensemble, samples, *cache, progress);
  auto evaluations =
      training::evaluate(ensemble, ladder.variants, samples, {.skip_bad = command.data->skip_bad, .cache = cache.get()},
                         [&](std::size_t done, std::size_t total) { progress.count("evaluating", done, total); });
  for (const auto& cause : evaluations.back().left_out) progress.message("left out: " + cause);
  mark_trained_on(ladder.variants, evaluations, checkpoints);
  Result result;
  result.heading = fmt::format("{} photographs, {}, at their stored size; means with 95 % intervals",
                               evaluations.back().images.size(), ensemble.sizes_text());
  result.variants = training::to_text(ladder, evaluations, command.seed);
  result.about = to_json(*command.model, ensemble);
  result.about["photographs"] = command.data->to_json();
  result.about["variants"] = training::to_json(ladder, evaluations, command.seed);
  result.evaluation = std::move(evaluations.back());
  return result;
}

bool has_options_of_a_model(const EvaluateCommand& command) {
  const ModelOptions& model = *command.model;
  const bool predicts =
      model.size != 0 || model.threshold || model.augmentation != "none" || model.postprocessing.any();
  return predicts || !command.split.empty() || !command.part.empty() || !command.data->cache.empty() ||
         command.data->skip_bad;
}

// What the options ask for, or what is missing.
bool scores_folder(const EvaluateCommand& command) {
  const bool folders = !command.predictions.empty() || !command.truth.empty();
  const bool model = command.model->names_a_model() || !command.data->data.empty() || !command.data->images.empty();
  if (folders && model) {
    fail_usage(
        "either a model is scored (--run or --weights, with --data), or masks are (--predictions with --truth), not "
        "both at once");
  }
  if (folders && command.predictions.empty()) fail_usage("--truth needs --predictions DIR, the masks to score");
  if (folders && command.truth.empty()) fail_usage("--predictions needs --truth DIR, the true masks");
  if (!folders && !model) {
    fail_usage(
        "what shall be scored? Give --run DIR and --data DIR (a trained model and photographs with masks), or "
        "--predictions DIR and --truth DIR (masks and true masks)");
  }
  if (folders && has_options_of_a_model(command)) {
    fail_usage(
        "--size, --threshold, --tta, --fill-holes, --keep-largest, --min-area, --split, --part, --cache and --skip-bad "
        "are for a model; masks are scored as they are");
  }
  if (command.json == "-" && command.csv == "-")
    fail_usage("--json - and --csv - would mix on standard output; name a file");
  return folders;
}

void run_evaluate(const EvaluateCommand& command) {
  command.options->apply();
  Progress progress;
  const Result result = scores_folder(command) ? evaluate_folder(command, progress) : evaluate_model(command, progress);
  const auto& evaluation = result.evaluation;
  for (const auto& note : training::notes_on(evaluation)) progress.message(note);
  if (command.json != "-" && command.csv != "-") {
    progress.message(result.heading);
    fmt::print("{}{}{}", result.variants, result.variants.empty() ? "" : "\n",
               training::summary_text(evaluation, command.seed));
  }
  if (!command.csv.empty()) write_text(command.csv, training::to_csv(evaluation));
  if (!command.json.empty()) {
    auto json = training::to_json(evaluation, command.seed);
    json.update(result.about);
    write_json(command.json, json);
  }
}

}  // namespace

void add_evaluate(CLI::App& app) {
  auto* sub =
      app.add_subcommand("evaluate", "Score a trained model, or masks, against true masks as the ISIC challenge does");
  auto command = std::make_shared<EvaluateCommand>();
  command->model = add_model_options(*sub);
  command->data = add_data_options(*sub);
  sub->add_option("--split", command->split, "CSV with columns image,part: only the photographs of one part");
  sub->add_option(
      "--part", command->part,
      "train, validation or test: of the split (by default validation), or without one of the challenge in --data");
  const std::string masks = "Masks without a model";
  sub->add_option("--predictions", command->predictions, "Folder of predicted masks, named as the true ones")
      ->group(masks);
  sub->add_option("--truth", command->truth, "Folder of true masks")->group(masks);
  sub->add_option("--seed", command->seed, "Of the resampling behind the 95 % bootstrap intervals")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--csv", command->csv,
                  "Write a row of scores for each photograph to this file, - for standard output");
  sub->add_option("--json", command->json, "Write all scores to this file, - for standard output");
  command->options = add_run_options(*sub);
  sub->callback([command] { run_evaluate(*command); });
}

}  // namespace dermatome

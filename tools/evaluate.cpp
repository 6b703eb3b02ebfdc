// dermatome evaluate: the official ISIC scores of a trained model, per photograph and in the mean, at the stored size.
#include <fmt/format.h>

#include "engine/core/error.h"
#include "tools/command.h"
#include "tools/data_options.h"
#include "tools/progress.h"
#include "tools/training/evaluation.h"

namespace dermatome {
namespace {

struct EvaluateCommand {
  std::string split, part, json;
  int size = 0;
  std::uint64_t seed = 42;
  std::shared_ptr<DataOptions> data;
  std::shared_ptr<RunOptions> options;
  std::shared_ptr<WeightsOption> weights;
};

nlohmann::json to_json(const training::Evaluation& evaluation, std::uint64_t seed) {
  nlohmann::json json;
  const auto means = evaluation.means();
  for (int m = 0; m < training::kMetrics; ++m) {
    const auto [low, high] =
        training::bootstrap_interval(training::values_of(evaluation, static_cast<training::Metric>(m)), seed);
    json[training::kMetricNames[m]] = means[static_cast<std::size_t>(m)];
    json["interval_95"][training::kMetricNames[m]] = {low, high};
  }
  json["images"] = evaluation.images.size();
  json["per_image"] = nlohmann::json::array();
  for (const auto& image : evaluation.images) {
    nlohmann::json row{{"id", image.id},
                       {"width", image.width},
                       {"height", image.height},
                       {"truth_share", image.truth_share},
                       {"predicted_share", image.predicted_share}};
    for (int m = 0; m < training::kMetrics; ++m)
      row[training::kMetricNames[m]] = image.scores[static_cast<std::size_t>(m)];
    json["per_image"].push_back(std::move(row));
  }
  return json;
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

void run_evaluate(const EvaluateCommand& command) {
  command.options->apply();
  command.options->type();
  training::Predictor predictor(command.weights->path(), command.options->device(), command.options->compile,
                                command.size);
  Progress progress;
  const auto samples = samples_of(command, [&](const std::string& text) { progress.message(text); });
  const auto evaluation = training::evaluate(
      predictor, samples, [&](std::size_t done, std::size_t total) { progress.count("evaluating", done, total); }, {},
      command.data->skip_bad);
  for (const auto& cause : evaluation.left_out) progress.message("left out: " + cause);
  for (const auto& sentence : evaluation.repairs.sentences(evaluation.images.size())) progress.message(sentence);
  if (command.json != "-") {
    const auto means = evaluation.means();
    progress.message(fmt::format("{} photographs, {} px, at their stored size; means with 95 % intervals",
                                 evaluation.images.size(), predictor.size()));
    for (int m = 0; m < training::kMetrics; ++m) {
      std::string name = training::kMetricNames[m];
      std::replace(name.begin(), name.end(), '_', ' ');
      const auto values = training::values_of(evaluation, static_cast<training::Metric>(m));
      const auto [low, high] = training::bootstrap_interval(values, command.seed);
      fmt::print("{:<20} {:.4f}   ({:.4f} to {:.4f})\n", name, means[static_cast<std::size_t>(m)], low, high);
    }
  }
  if (!command.json.empty()) write_json(command.json, to_json(evaluation, command.seed));
}

}  // namespace

void add_evaluate(CLI::App& app) {
  auto* sub =
      app.add_subcommand("evaluate", "Score a trained model on photographs with masks, as the ISIC challenge does");
  auto command = std::make_shared<EvaluateCommand>();
  command->weights = add_weights_option(*sub);
  command->data = add_data_options(*sub);
  sub->add_option("--split", command->split, "CSV with columns image,part: only the photographs of one part");
  sub->add_option(
      "--part", command->part,
      "train, validation or test: of the split (by default validation), or without one of the challenge in --data");
  sub->add_option("--size", command->size, "Side of the network's input in pixels; 0: as trained")
      ->capture_default_str()
      ->check(CLI::Range(0, 8192));
  sub->add_option("--seed", command->seed, "Of the resampling behind the 95 % bootstrap intervals")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  sub->add_option("--json", command->json, "Write the scores to this file, - for standard output");
  command->options = add_run_options(*sub);
  sub->callback([command] { run_evaluate(*command); });
}

}  // namespace dermatome

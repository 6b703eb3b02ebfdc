// Reading folds for their report.
#include "tools/report_folds.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/files.h"
#include "engine/core/error.h"
#include "tools/command.h"
#include "tools/data_options.h"
#include "tools/fold_runs.h"
#include "tools/report_run.h"
#include "tools/training/evaluation_variants.h"
#include "tools/training/resume.h"
#include "tools/version.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

report::FoldRow row_of(const FoldResult& result) {
  return {.name = fmt::format("fold {}", result.fold),
          .best_epoch = result.best_epoch,
          .loss = result.loss,
          .jaccard = result.jaccard,
          .thresholded_jaccard = result.thresholded_jaccard,
          .dice = result.dice};
}

void add_results(report::FoldsReport& report, const FoldRuns& runs) {
  const auto results = results_of(runs);
  for (const auto& result : results) report.rows.push_back(row_of(result));
  report.mean.name = "mean";
  report.deviation.name = "standard deviation";
  const auto spread = [&](double FoldResult::*from, double report::FoldRow::*to) {
    const Spread values = spread_of(results, from);
    report.mean.*to = values.mean;
    report.deviation.*to = values.deviation;
  };
  spread(&FoldResult::loss, &report::FoldRow::loss);
  spread(&FoldResult::jaccard, &report::FoldRow::jaccard);
  spread(&FoldResult::thresholded_jaccard, &report::FoldRow::thresholded_jaccard);
  spread(&FoldResult::dice, &report::FoldRow::dice);
}

report::Metric metric_of(const training::Estimate& estimate, const char* name) {
  return {
      .name = name, .mean = estimate.mean, .low = estimate.interval.low, .high = estimate.interval.high, .detail = {}};
}

void add_ensemble(report::FoldsReport& report, const FoldRuns& runs, std::uint64_t seed, Device device,
                  const CompileOptions& compile, Progress& progress) {
  const auto names = runs_of_folds(runs.folder);
  const Tell tell = [&](const std::string& text) { progress.message(text); };
  const DataOptions options = DataOptions::from_json(runs.info);
  const auto samples = training::samples_of_part(options.samples(tell), runs.run_of(1) / "split.csv", data::Part::test);
  std::vector<fs::path> checkpoints;
  for (const auto& name : names) checkpoints.emplace_back(checkpoint_of_run(name));
  training::Ensemble ensemble(checkpoints, device, compile);
  std::vector<std::string> short_names;
  for (int fold = 1; fold <= runs.folds; ++fold) short_names.push_back(fmt::format("fold {}", fold));
  const auto ladder = training::ladder_of(ensemble, short_names, {});
  ScoredImages scored =
      scored_images(ensemble, ladder.variants, samples, options.skip_bad, "evaluating the ensemble", progress);
  for (std::size_t v = 0; v < scored.evaluations.size(); ++v) {
    const auto& evaluation = scored.evaluations[v];
    const auto means = evaluation.means();
    report::WayRow way{.name = ladder.variants[v].name,
                       .jaccard = metric_of(training::estimate(evaluation, training::kJaccard, seed), "Jaccard"),
                       .thresholded_jaccard = means[training::kThresholdedJaccard],
                       .dice = means[training::kDice]};
    if (v != ladder.plain)
      way.difference =
          metric_of(training::difference(scored.evaluations[ladder.plain], evaluation, seed), "difference");
    report.ways.push_back(std::move(way));
  }
  report.ensemble.metrics = metrics_of(scored.evaluations.back(), seed);
  report.ensemble.images = std::move(scored.images);
  report.ensemble.settings.emplace_back("network input", ensemble.sizes_text());
  report.ensemble.settings.emplace_back("photographs scored", fmt::format("{} of the test part, at their stored size",
                                                                          scored.evaluations.back().images.size()));
}

bool has_test_part(const FoldRuns& runs) {
  const auto bytes = data::read_file(runs.split());
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).find(",test") !=
         std::string_view::npos;
}

}  // namespace

report::FoldsReport read_folds_report(const fs::path& folder, Device device, const CompileOptions& compile,
                                      Progress& progress) {
  const FoldRuns runs = read_fold_runs(folder);
  const auto recipe = training::read_recipe_of_run(runs.recipe(), runs.run_of(1));
  report::FoldsReport report;
  auto& ensemble = report.ensemble;
  ensemble.title = fmt::format("Segmentation of skin lesions, {} folds", runs.folds);
  ensemble.version = kVersion;
  ensemble.run = (folder / "").parent_path().filename().string();
  ensemble.settings = {{"model", recipe.model}, {"folds", std::to_string(runs.folds)}};
  add_results(report, runs);
  for (int fold = 1; fold <= runs.folds; ++fold) {
    report.folds.push_back(read_epochs_of_run(runs.run_of(fold), fmt::format("fold {}", fold)));
  }
  try {
    if (has_test_part(runs)) {
      add_ensemble(report, runs, recipe.seed, device, compile, progress);
    } else {
      ensemble.notes.emplace_back(
          "No test part was split off (--test-share). Every photograph was "
          "trained on by all folds but one, so the "
          "ensemble was not scored.");
    }
  } catch (const Error& error) {
    ensemble.notes.push_back(fmt::format("The ensemble was not scored: {}.", error.what()));
    progress.message(fmt::format("{}: not scored: {}", folder.string(), error.what()));
  }
  ensemble.settings.emplace_back("seed", std::to_string(recipe.seed));
  ensemble.settings.emplace_back("recipe", training::to_toml(recipe, false));
  return report;
}

}  // namespace dermatome

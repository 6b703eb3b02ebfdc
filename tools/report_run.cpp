// Reading a run's folder for its report.
#include "tools/report_run.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <optional>

#include "data/files.h"
#include "data/image/resize.h"
#include "engine/core/error.h"
#include "tools/data_options.h"
#include "tools/rate_chart_of.h"
#include "tools/training/evaluation.h"
#include "tools/training/log.h"
#include "tools/training/resume.h"
#include "tools/version.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

constexpr int kPictureSide = 288;

nlohmann::json read_info(const fs::path& run) {
  DERMATOME_CHECK(fs::exists(run / "run.json"), "{} is not the folder of a run: it holds no run.json", run.string());
  std::ifstream file(run / "run.json");
  const auto info = nlohmann::json::parse(file, nullptr, false);
  DERMATOME_CHECK(info.is_object(), "{} is damaged: it is no JSON object", (run / "run.json").string());
  return info;
}

// At most kPictureSide pixels a side.
data::Image small(const data::Image& image, bool mask) {
  const double scale = std::min(1.0, static_cast<double>(kPictureSide) / std::max(image.width, image.height));
  const int width = std::max(1, static_cast<int>(image.width * scale + 0.5));
  const int height = std::max(1, static_cast<int>(image.height * scale + 0.5));
  return mask ? data::resize_mask(image, width, height) : data::resize(image, width, height);
}

// In the proportions of `mask`, decoded no larger than the page shows it.
data::Image small_photograph(const fs::path& file, const data::Image& mask) {
  const auto stored = data::decode_stored(data::read_file(file), file.string(), kPictureSide, kPictureSide);
  return data::resize(stored.image, mask.width, mask.height);
}

// A run without a validation part logs zeros, which are no results.
double validated(double value, bool validates) {
  return validates ? value : report::kMissing;
}

void add_epochs(report::ReportData& report, const fs::path& run) {
  if (!fs::exists(run / "log.csv")) return;
  const auto rows = training::read_epoch_log(run / "log.csv");
  const bool validates =
      std::any_of(rows.begin(), rows.end(), [](const auto& row) { return row.validation_loss != 0; });
  for (const auto& row : rows) {
    report.epochs.push_back({.epoch = row.epoch,
                             .stage = row.stage - 1,
                             .learning_rate = row.learning_rate,
                             .train_loss = row.train_loss,
                             .validation_loss = validated(row.validation_loss, validates),
                             .train_jaccard = row.train_jaccard,
                             .validation_jaccard = validated(row.validation_jaccard, validates),
                             .validation_thresholded_jaccard = validated(row.validation_thresholded_jaccard, validates),
                             .validation_dice = validated(row.validation_dice, validates),
                             .seconds = row.seconds,
                             .images_per_second = row.images_per_second});
  }
}

void add_rate_finders(report::ReportData& report, const fs::path& run, const training::Recipe& recipe) {
  for (std::size_t stage = 1; stage <= recipe.stages.size(); ++stage) {
    const fs::path file = run / fmt::format("lr_find_stage{}.csv", stage);
    if (!fs::exists(file)) continue;
    training::RateCurve curve{.sweep = recipe.stages[stage - 1].find, .points = training::read_rate_curve(file)};
    if (curve.points.empty()) continue;
    training::find_suggestion(curve);
    report.rate_finders.push_back(chart_of(curve, fmt::format("Learning-rate finder, stage {}", stage)));
  }
}

void add_stages(report::ReportData& report, const fs::path& run, const training::Recipe& recipe) {
  std::vector<training::StepRow> steps;
  if (fs::exists(run / "steps.csv")) steps = training::read_step_log(run / "steps.csv");
  for (const auto& row : steps) report.learning_rates.push_back({row.step, row.learning_rate});
  int epoch = 1;
  for (const auto& stage : recipe.stages) {
    std::string detail = stage.batch_norm == "frozen" ? "batch norm frozen" : "";
    for (const auto& group : stage.frozen) detail += (detail.empty() ? "" : ", ") + group + " frozen";
    const auto first =
        std::find_if(steps.begin(), steps.end(), [&](const training::StepRow& row) { return row.epoch >= epoch; });
    double found = 0;  // as the largest step tells it
    for (const auto& row : steps) {
      if (row.epoch >= epoch && row.epoch < epoch + stage.epochs) found = std::max(found, row.learning_rate);
    }
    report.stages.push_back({.name = fmt::format("{} px", stage.size),
                             .first_epoch = epoch,
                             .first_step = first == steps.end() ? std::nullopt : std::optional(first->step),
                             .size = stage.size,
                             .batch = stage.batch * stage.accumulate,
                             .learning_rate = stage.find_lr ? found : stage.lr,
                             .detail = detail});
    epoch += stage.epochs;
  }
  const int planned = epoch - 1;
  const int done = static_cast<int>(report.epochs.size());
  if (done < planned) {
    report.notes.push_back(
        fmt::format("The run is not complete: {} of {} epochs {} finished.", done, planned, done == 1 ? "is" : "are"));
  }
}

std::optional<fs::path> checkpoint_of(const fs::path& run) {
  for (const char* name : {"best.safetensors", "last.safetensors"}) {
    if (fs::exists(run / name)) return run / name;
  }
  return std::nullopt;
}

bool has_validation_part(const fs::path& run, const nlohmann::json& info) {
  if (!info.value("validation", "").empty()) return true;
  const auto bytes = data::read_file(run / "split.csv");
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).find(",validation") !=
         std::string_view::npos;
}

void add_scores(report::ReportData& report, const fs::path& run, const nlohmann::json& info, std::uint64_t seed,
                Device device, const CompileOptions& compile, Progress& progress) {
  const auto checkpoint = checkpoint_of(run);
  if (!checkpoint) {
    report.notes.emplace_back("The run has written no checkpoint, so no photograph was scored.");
    return;
  }
  if (!has_validation_part(run, info)) {
    report.notes.emplace_back("The run had no validation part, so no photograph was scored.");
    return;
  }
  training::Ensemble ensemble(*checkpoint, device, compile);
  const auto samples = validation_samples_of(run, info, [&](const std::string& text) { progress.message(text); });
  const training::Variant variant = training::variant_of(ensemble);
  ScoredImages scored = scored_images(ensemble, std::span(&variant, 1), samples, info.value("skip_bad", false),
                                      "evaluating " + report.run, progress);
  const training::Evaluation& evaluation = scored.evaluations.front();
  report.images = std::move(scored.images);
  report.metrics = metrics_of(evaluation, seed);
  report.settings.emplace_back("network input", data::to_text(ensemble.member(0).preparation()));
  report.settings.emplace_back(
      "photographs scored", fmt::format("{} of the validation part, at their stored size", evaluation.images.size()));
}

}  // namespace

std::vector<report::Metric> metrics_of(const training::Evaluation& evaluation, std::uint64_t seed) {
  std::vector<report::Metric> metrics;
  const char* names[training::kMetrics] = {"Jaccard",  "Thresholded Jaccard", "Dice",
                                           "Accuracy", "Sensitivity",         "Specificity"};
  const auto means = evaluation.means();
  for (std::size_t m = 0; m < training::kMetrics; ++m) {
    const auto values = training::values_of(evaluation, static_cast<training::Metric>(m));
    report::Metric metric{.name = names[m], .mean = means[m], .low = {}, .high = {}};
    if (values.size() > 1) {
      const auto [low, high] = training::bootstrap_interval(values, seed);
      metric.low = low;
      metric.high = high;
    }
    metrics.push_back(std::move(metric));
  }
  return metrics;
}

ScoredImages scored_images(training::Ensemble& ensemble, std::span<const training::Variant> variants,
                           const std::vector<data::Sample>& samples, bool skip_bad, const std::string& label,
                           Progress& progress) {
  ScoredImages result;
  auto& images = result.images;
  images.resize(samples.size());
  result.evaluations = training::evaluate(
      ensemble, variants, samples, {.skip_bad = skip_bad},
      [&](std::size_t done, std::size_t total) { progress.count(label.c_str(), done, total); },
      [&](std::size_t i, const training::ScoredImage& image, const data::StoredGrid&, const data::Image& truth,
          const training::Prediction& prediction) {
        data::Image cut = truth;
        data::cut_mask(cut);
        images[i] = {.id = image.id,
                     .jaccard = image.scores[training::kJaccard],
                     .dice = image.scores[training::kDice],
                     .lesion_area_share = image.counts.truth_share(),
                     .truth = small(cut, true),
                     .prediction = small(prediction.mask, true)};
        images[i].photograph = small_photograph(samples[i].image, images[i].truth);
      });
  std::erase_if(images, [](const report::ReportImage& image) { return image.photograph.pixels.empty(); });
  return result;
}

report::ReportData read_epochs_of_run(const fs::path& run, const std::string& name) {
  report::ReportData report;
  report.run = name;
  report.loss_name = "loss";
  add_epochs(report, run);
  return report;
}

report::ReportData read_run(const fs::path& run, Device device, const CompileOptions& compile, Progress& progress) {
  const auto info = read_info(run);
  const auto recipe = training::read_recipe_of_run(run / "resolved.toml", run);
  report::ReportData report;
  report.title = "Segmentation of skin lesions";
  report.version = kVersion;
  report.run = run.filename().empty() ? run.parent_path().filename().string() : run.filename().string();
  const std::string losses = training::losses_text(recipe);
  report.loss_name = losses == "bce" ? "binary cross-entropy" : losses;
  report.settings = {{"model", recipe.model}, {"loss", losses}};
  add_epochs(report, run);
  add_stages(report, run, recipe);
  add_rate_finders(report, run, recipe);
  if (recipe.best_by == training::BestBy::dice) report.best_by = &report::EpochRow::validation_dice;
  if (recipe.best_by == training::BestBy::thresholded_jaccard)
    report.best_by = &report::EpochRow::validation_thresholded_jaccard;
  try {
    add_scores(report, run, info, recipe.seed, device, compile, progress);
  } catch (const Error& error) {
    report.notes.push_back(fmt::format("The photographs were not scored: {}.", error.what()));
    progress.message(fmt::format("{}: not scored: {}", run.string(), error.what()));
  }
  report.settings.emplace_back("seed", std::to_string(recipe.seed));
  report.settings.emplace_back("threads", std::to_string(info.value("threads", 0)));
  for (const char* name : {"instruction_set", "device", "processor"}) {
    std::string title = name;
    std::replace(title.begin(), title.end(), '_', ' ');
    report.settings.emplace_back(title, info.value(name, "–"));
  }
  report.settings.emplace_back("recipe", training::to_toml(recipe, false));
  double seconds = 0;
  for (const auto& row : report.epochs) seconds += row.seconds;
  if (!report.epochs.empty()) report.timing = {{"training and validation", seconds}};
  return report;
}

}  // namespace dermatome

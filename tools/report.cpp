// dermatome report: one self-contained HTML page about a run.
#include <filesystem>
#include <fstream>

#include "data/files.h"
#include "data/image/resize.h"
#include "engine/core/error.h"
#include "tools/command.h"
#include "tools/data_options.h"
#include "tools/progress.h"
#include "tools/report/html.h"
#include "tools/report/selection.h"
#include "tools/training/evaluation.h"
#include "tools/training/log.h"
#include "tools/version.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

constexpr int kPictureSide = 288;

struct ReportCommand {
  std::string run, out;
  std::shared_ptr<RunOptions> options;
};

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

// At most kPictureSide pixels a side.
data::Image small(const data::Image& image, bool mask) {
  const double scale = std::min(1.0, static_cast<double>(kPictureSide) / std::max(image.width, image.height));
  const int width = std::max(1, static_cast<int>(image.width * scale + 0.5));
  const int height = std::max(1, static_cast<int>(image.height * scale + 0.5));
  return mask ? data::resize_mask(image, width, height) : data::resize(image, width, height);
}

// The photograph as its file has it, decoded no larger than the page shows it.
data::Image stored_photograph(const fs::path& file) {
  return data::decode_stored(data::read_file(file), file.string(), kPictureSide, kPictureSide).image;
}

void add_log(report::ReportData& report, const fs::path& run, const training::Recipe& recipe) {
  for (const auto& row : training::read_epoch_log(run / "log.csv")) {
    report.epochs.push_back({.epoch = row.epoch,
                             .stage = row.stage - 1,
                             .learning_rate = row.learning_rate,
                             .train_loss = row.train_loss,
                             .validation_loss = row.validation_loss,
                             .train_jaccard = row.train_jaccard,
                             .validation_jaccard = row.validation_jaccard,
                             .validation_thresholded_jaccard = row.validation_thresholded_jaccard,
                             .validation_dice = row.validation_dice,
                             .seconds = row.seconds,
                             .images_per_second = row.images_per_second});
  }
  const auto steps = training::read_step_log(run / "steps.csv");
  for (const auto& row : steps) report.learning_rates.push_back({row.step, row.learning_rate});
  int epoch = 1;
  for (const auto& stage : recipe.stages) {
    std::string detail = stage.batch_norm == "frozen" ? "batch norm frozen" : "";
    for (const auto& group : stage.frozen) detail += (detail.empty() ? "" : ", ") + group + " frozen";
    const auto first =
        std::find_if(steps.begin(), steps.end(), [&](const training::StepRow& row) { return row.epoch >= epoch; });
    report.stages.push_back({.name = fmt::format("{} px", stage.size),
                             .first_epoch = epoch,
                             .first_step = first == steps.end() ? std::nullopt : std::optional(first->step),
                             .size = stage.size,
                             .batch = stage.batch * stage.accumulate,
                             .learning_rate = stage.lr,
                             .detail = detail});
    epoch += stage.epochs;
  }
}

void run_report(const ReportCommand& command) {
  command.options->apply();
  const fs::path run(command.run);
  DERMATOME_CHECK(fs::exists(run / "run.json"), "{} is not the folder of a run: it holds no run.json", command.run);
  std::ifstream file(run / "run.json");
  const auto info = nlohmann::json::parse(file);
  const auto recipe = training::read_recipe(run / "resolved.toml");
  WeightsOption weights{.run = command.run, .weights = {}};
  training::Predictor predictor(weights.path(), command.options->device(), command.options->compile);

  report::ReportData report;
  report.title = "Segmentation of skin lesions";
  report.version = kVersion;
  report.run = run.filename().empty() ? run.parent_path().filename().string() : run.filename().string();
  report.loss_name = "binary cross-entropy";
  add_log(report, run, recipe);

  Progress progress;
  const auto samples = validation_samples_of(run, info, [&](const std::string& text) { progress.message(text); });
  std::vector<report::ReportImage> images(samples.size());
  const auto evaluation = training::evaluate(
      predictor, samples, [&](std::size_t done, std::size_t total) { progress.count("evaluating", done, total); },
      [&](std::size_t i, const training::ScoredImage& image, const data::StoredGrid&, const data::Image& truth,
          const training::Prediction& prediction) {
        data::Image cut = truth;
        data::cut_mask(cut);
        images[i] = {.id = image.id,
                     .jaccard = image.scores[training::kJaccard],
                     .dice = image.scores[training::kDice],
                     .lesion_area_share = image.counts.truth_share(),
                     .photograph = small(stored_photograph(samples[i].image), false),
                     .truth = small(cut, true),
                     .prediction = small(prediction.mask, true)};
      },
      info.value("skip_bad", false));
  std::erase_if(images, [](const report::ReportImage& image) { return image.photograph.pixels.empty(); });
  report.images = std::move(images);
  report.metrics = metrics_of(evaluation, recipe.seed);

  report.settings = {
      {"model", predictor.model().name()},
      {"network input", fmt::format("{0} x {0} px, squashed", predictor.size())},
      {"photographs scored", fmt::format("{} of the validation part, at their stored size", evaluation.images.size())},
      {"seed", std::to_string(recipe.seed)},
      {"threads", std::to_string(info.at("threads").get<int>())},
      {"instruction set", info.at("instruction_set")},
      {"device", info.at("device")},
      {"processor", info.at("processor")},
      {"recipe", training::to_toml(recipe, false)}};
  double training_seconds = 0;
  for (const auto& row : report.epochs) training_seconds += row.seconds;
  report.timing = {{"training and validation", training_seconds}};
  const std::string out = command.out.empty() ? (run / "report.html").string() : command.out;
  write_text(out, report::render_html(report));
  progress.message(fmt::format("report in {}", out));
}

}  // namespace

void add_report(CLI::App& app) {
  auto* sub = app.add_subcommand("report", "Write a self-contained HTML page about a run");
  auto command = std::make_shared<ReportCommand>();
  sub->add_option("run", command->run, "Folder of the run")->required();
  sub->add_option("--out", command->out, "The page; by default report.html in the run's folder");
  command->options = add_run_options(*sub);
  sub->callback([command] { run_report(*command); });
}

}  // namespace dermatome

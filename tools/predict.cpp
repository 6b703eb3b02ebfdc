// dermatome predict: masks of photographs, at each photograph's own size.
#include <algorithm>
#include <filesystem>

#include "data/files.h"
#include "data/image/outline.h"
#include "engine/core/error.h"
#include "tools/command.h"
#include "tools/model_options.h"
#include "tools/progress.h"
#include "tools/signals.h"
#include "tools/training/predictor_files.h"
#include "tools/training/predictor_outputs.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMask = "_segmentation.png";
constexpr const char* kProbability = "_probability.npy";
constexpr const char* kOverlay = "_overlay.png";
constexpr const char* kTable = "predictions.csv";

struct PredictCommand {
  std::vector<std::string> inputs;
  std::string out;
  int batch = 8;
  bool probabilities = false;
  bool overlay = false;
  std::shared_ptr<RunOptions> options;
  std::shared_ptr<ModelOptions> model;
};

// The photograph in its stored grid with the mask's outline, as thick as its size asks. It is read again, whole: the
// network saw it at a fraction of its size.
data::Image overlay_of(const fs::path& file, const data::Image& mask) {
  const data::Photograph photograph = data::read_rgb(file);
  data::Image picture = data::to_stored(photograph.image, photograph.orientation);
  data::draw_outline(picture, mask, {.r = 255, .g = 0, .b = 200},
                     std::max(1, std::min(picture.width, picture.height) / 200));
  return picture;
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  DERMATOME_CHECK(!error && fs::is_directory(folder), "the folder {} cannot be made ({})", folder.string(),
                  error.message());
}

training::FilePlan plan(const PredictCommand& command) {
  std::vector<std::string> suffixes{kMask};
  if (command.probabilities) suffixes.emplace_back(kProbability);
  if (command.overlay) suffixes.emplace_back(kOverlay);
  return training::plan_files({command.inputs.begin(), command.inputs.end()}, command.out, suffixes);
}

void write_files(const PredictCommand& command, const training::PlannedFile& file,
                 const training::Prediction& prediction) {
  const std::string path = (fs::path(command.out) / file.name).string();
  data::write_mask_png(path + kMask, prediction.mask);
  if (command.probabilities) {
    data::write_npy(path + kProbability, prediction.probability, prediction.height, prediction.width);
  }
  if (command.overlay) data::write_png(path + kOverlay, overlay_of(file.photograph, prediction.mask));
}

// The table of an earlier call into the same folder, read ahead: what is wrong with it is told before hours of work.
training::EarlierTable earlier_table(const fs::path& file, Progress& progress) {
  auto table = training::read_table(file);
  if (table.other_columns)
    progress.message(fmt::format("{} has other columns than this version writes and will be replaced", file.string()));
  return table;
}

// What of the photographs came out; no row: not predicted.
struct Outcome {
  std::vector<std::string> rows;
  std::vector<std::uint8_t> empty;
  std::vector<training::FileFailure> failures;

  std::size_t done() const {
    return rows.size() - static_cast<std::size_t>(std::count(rows.begin(), rows.end(), std::string()));
  }
  bool stopped() const { return done() + failures.size() < rows.size(); }
};

// Writes predictions.csv and says what was done.
std::string finish_table(const PredictCommand& command, const training::EarlierTable& earlier, Outcome& outcome) {
  const std::size_t done = outcome.done();
  const auto without = std::count(outcome.empty.begin(), outcome.empty.end(), std::uint8_t{1});
  std::erase(outcome.rows, std::string());
  const auto kept = training::kept_rows(earlier, outcome.rows);
  std::string table = training::table_header();
  for (const auto& row : kept) table += row;
  for (const auto& row : outcome.rows) table += row;
  const fs::path path = fs::path(command.out) / kTable;
  data::write_file(path, table);
  return fmt::format("{} mask{} in {}{}; areas, boxes and probabilities in {}{}", done, done == 1 ? "" : "s",
                     command.out, without > 0 ? fmt::format(", {} without a lesion", without) : "", path.string(),
                     kept.empty() ? "" : fmt::format(", with {} of earlier calls", kept.size()));
}

Outcome predict_all(const PredictCommand& command, training::Ensemble& ensemble,
                    const std::vector<training::PlannedFile>& files, Progress& progress) {
  std::vector<fs::path> photographs;
  for (const auto& file : files) photographs.push_back(file.photograph);
  Outcome outcome{
      .rows = std::vector<std::string>(files.size()), .empty = std::vector<std::uint8_t>(files.size()), .failures = {}};
  outcome.failures = training::predict_files(
      ensemble, photographs,
      {.batch = command.batch,
       .keep_probabilities = command.probabilities,
       .postprocessing = command.model->postprocessing,
       .stop_requested = [] { return received_signal() != 0; }},
      [&](std::size_t i, const data::StoredGrid&, const training::Prediction& prediction) {
        write_files(command, files[i], prediction);
        outcome.rows[i] = training::table_row(files[i], kMask, prediction);
        outcome.empty[i] = prediction.is_empty() ? 1 : 0;
      },
      [&](std::size_t done, std::size_t total) { progress.count("predicting", done, total); });
  return outcome;
}

void run_predict(const PredictCommand& command) {
  command.options->apply();
  command.model->checkpoints();  // what is missing there is told before folders are searched
  const auto planned = plan(command);
  const auto& files = planned.files;
  Progress progress;
  if (!planned.masks.empty()) progress.message(training::masks_sentence(planned));
  training::Ensemble ensemble = command.model->open(*command.options, progress);
  make_folder(command.out);
  for (const auto& file : files) make_folder(fs::path(command.out) / file.name.parent_path());
  const auto earlier = earlier_table(fs::path(command.out) / kTable, progress);

  catch_signals();
  Outcome outcome = predict_all(command, ensemble, files, progress);
  const bool stopped = outcome.stopped();
  if (outcome.done() > 0) progress.message(finish_table(command, earlier, outcome));
  const std::string failed = training::describe(outcome.failures, files.size(), "photographs cannot be predicted");
  if (stopped) {
    if (!failed.empty()) progress.message(failed);
    progress.message(fmt::format("stopped before all {} photographs were predicted", files.size()));
    set_exit_code(128 + received_signal());
  } else if (!failed.empty()) {
    fail("{}", failed);
  }
}

}  // namespace

void add_predict(CLI::App& app) {
  auto* sub = app.add_subcommand("predict", "Write the masks of photographs, at their own size");
  auto command = std::make_shared<PredictCommand>();
  command->model = add_model_options(*sub);
  command->model->batch_option = "--batch ";
  sub->add_option("images", command->inputs,
                  "Photographs (JPEG, PNG, BMP or TIFF) and folders of them, which are mirrored with all folders below")
      ->required();
  sub->add_option("--out", command->out, "Folder for <name>_segmentation.png and predictions.csv")->required();
  sub->add_option("--batch", command->batch, "Photographs that go through the network together")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  sub->add_flag("--probabilities", command->probabilities,
                "Also write <name>_probability.npy, float32 [height, width]");
  sub->add_flag("--overlay", command->overlay, "Also write <name>_overlay.png, the photograph with the outline");
  command->options = add_run_options(*sub);
  sub->callback([command] { run_predict(*command); });
}

}  // namespace dermatome

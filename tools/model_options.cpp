// --run, --weights, --model, --size, --threshold, --tta and post-processing.
#include "tools/model_options.h"

#include <charconv>
#include <set>

#include "engine/core/error.h"
#include "tools/fold_runs.h"
#include "tools/run_threshold.h"
#include "tools/training/initial_weights.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

void refuse_twice(const std::vector<fs::path>& checkpoints, const std::vector<std::string>& names) {
  std::set<fs::path> seen;
  for (std::size_t i = 0; i < checkpoints.size(); ++i) {
    if (!seen.insert(fs::weakly_canonical(checkpoints[i])).second) {
      fail_usage("{} was given twice; an ensemble is of different runs", names[i]);
    }
  }
}

void set_threshold(ModelOptions& options, const std::string& text) {
  if (text == "best") {
    options.best_threshold = true;
    return;
  }
  double value = -1;
  const auto end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || !(value >= 0 && value <= 1))
    fail_usage("--threshold must be a number from 0 to 1, or best, not '{}'", text);
  options.threshold = value;
}

void add_postprocessing(CLI::App& command, training::PostProcessing& postprocessing) {
  const std::string group = "Post-processing of masks";
  command.add_flag("--fill-holes", postprocessing.fill_holes, "Background that a lesion encloses becomes lesion")
      ->group(group);
  command
      .add_option("--min-area", postprocessing.min_area,
                  "Remove regions that are smaller than this share of the photograph, 0.001 for example")
      ->check(CLI::Range(0.0, 1.0))
      ->group(group);
  command.add_flag("--keep-largest", postprocessing.keep_largest, "Keep the largest region of each mask and no other")
      ->group(group);
}

}  // namespace

bool ModelOptions::asks_for_more() const {
  return size != 0 || threshold || best_threshold || augmentation != "none" || postprocessing.any();
}

std::vector<std::string> ModelOptions::names() const {
  std::vector<std::string> names;
  for (const auto& run : runs) {
    if (holds_folds(run)) {
      for (auto& fold : runs_of_folds(run)) names.push_back(std::move(fold));
    } else {
      names.push_back(run);
    }
  }
  names.insert(names.end(), weights.begin(), weights.end());
  return names;
}

std::vector<fs::path> ModelOptions::checkpoints() const {
  std::vector<fs::path> checkpoints;
  const auto all = names();
  if (all.empty()) fail_usage("{}", kWhichModel);
  for (const auto& name : all) {
    checkpoints.push_back(weights.empty() ? fs::path(checkpoint_of_run(name)) : training::weights_file(name));
  }
  refuse_twice(checkpoints, all);
  return checkpoints;
}

training::Ensemble ModelOptions::open(const RunOptions& options, Progress& progress) const {
  training::PredictorOptions each{
      .size = size, .model = model, .threshold = threshold, .batch_option = batch_option, .size_option = "--size "};
  const auto kind = training::parse_test_time_augmentation(augmentation);
  if (best_threshold) {
    if (runs.empty())
      fail_usage("--threshold best needs --run: it is found on the photographs that a run validated on");
    each.threshold = best_threshold_of(names(), size, kind, options, progress);
  }
  training::Ensemble ensemble(checkpoints(), options.device(), options.compile, each, kind);
  for (std::size_t m = 0; m < ensemble.count(); ++m) {
    if (!ensemble.member(m).taken().empty()) progress.message(ensemble.member(m).taken());
  }
  return ensemble;
}

std::shared_ptr<ModelOptions> add_model_options(CLI::App& command) {
  auto options = std::make_shared<ModelOptions>();
  auto* run = command
                  .add_option("--run", options->runs,
                              "Folder of a run (its best checkpoint is used) or of folds. Repeated: an ensemble, the "
                              "mean of the runs' probabilities")
                  ->allow_extra_args(false);
  auto* weights = command
                      .add_option("--weights", options->weights,
                                  "A checkpoint instead, or weights of PyTorch or safetensors (repeatable)")
                      ->allow_extra_args(false)
                      ->excludes(run);
  command.add_option("--model", options->model, "The network of weights that are no checkpoint: a name or .graph file")
      ->needs(weights);
  command.add_option("--size", options->size, "Side of the network's input in pixels; 0: as trained")
      ->capture_default_str()
      ->check(CLI::Range(0, 8192));
  command.add_option_function<std::string>(
      "--threshold", [options](const std::string& text) { set_threshold(*options, text); },
      "A pixel is lesion where its probability is above: a number, or best for the one with the highest Jaccard on the "
      "validation part; by default as trained (0.5)");
  command
      .add_option("--tta", options->augmentation,
                  "Test-time augmentation, the mean over turned copies: flips (4 copies) or dihedral (8)")
      ->capture_default_str()
      ->check(CLI::IsMember(training::test_time_augmentation_names()));
  add_postprocessing(command, options->postprocessing);
  return options;
}

nlohmann::json to_json(const ModelOptions& options, const training::Ensemble& ensemble) {
  nlohmann::json json{{"threshold", ensemble.threshold()},
                      {"test_time_augmentation", options.augmentation},
                      {"postprocessing", options.postprocessing.text()}};
  const auto checkpoints = options.checkpoints();
  if (checkpoints.size() == 1) {
    json["checkpoint"] = checkpoints.front().string();
    json["size"] = ensemble.member(0).size();
    return json;
  }
  for (std::size_t m = 0; m < checkpoints.size(); ++m) {
    json["members"].push_back({{"checkpoint", checkpoints[m].string()}, {"size", ensemble.member(m).size()}});
  }
  return json;
}

}  // namespace dermatome

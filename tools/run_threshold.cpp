// Curves of runs, stored or found.
#include "tools/run_threshold.h"

#include <fmt/format.h>

#include <filesystem>

#include "engine/core/error.h"
#include "tools/data_options.h"
#include "tools/training/run_folder.h"
#include "tools/training/threshold_search.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

training::ThresholdCurve curve_of_run(const fs::path& run, int size, training::TestTimeAugmentation augmentation,
                                      const RunOptions& options, Progress& progress) {
  const fs::path checkpoint = checkpoint_of_run(run.string());
  training::Ensemble alone(checkpoint, options.device(), options.compile, {.size = size, .size_option = "--size "},
                           augmentation);
  const training::Predictor& member = alone.member(0);
  const training::ThresholdKey key{.checkpoint = checkpoint.filename().string(),
                                   .steps_done = member.info().position.steps_done,
                                   .size = member.size(),
                                   .augmentation = augmentation};
  if (const auto stored = training::stored_curve(run, key)) return *stored;
  const auto info = training::read_run_json(run);
  const auto samples = validation_samples_of(run, info, [&](const std::string& text) { progress.message(text); });
  const auto curve = training::find_curve(alone, samples, [&](std::size_t done, std::size_t total) {
    progress.count("looking for the threshold", done, total);
  });
  try {
    training::store_curve(run, key, curve);
  } catch (const Error& error) {
    progress.message(fmt::format("the threshold is not kept: {}", error.what()));
  }
  return curve;
}

}  // namespace

double best_threshold_of(const std::vector<std::string>& runs, int size, training::TestTimeAugmentation augmentation,
                         const RunOptions& options, Progress& progress) {
  std::vector<training::ThresholdCurve> curves;
  for (const auto& run : runs) curves.push_back(curve_of_run(run, size, augmentation, options, progress));
  const auto all = training::pooled(curves);
  const auto best = training::best_of(all);
  progress.message(
      fmt::format("threshold {:.2f}: on the validation part{} ({} photographs) its Jaccard is {:.4f}, that "
                  "of 0.5 {:.4f}; kept in {}{}",
                  best.threshold, runs.size() > 1 ? "s" : "", all.photographs, best.jaccard, best.jaccard_at_half,
                  (fs::path(runs.front()) / training::kThresholdFile).string(),
                  runs.size() > 1 ? " and the other runs' folders" : ""));
  return best.threshold;
}

}  // namespace dermatome

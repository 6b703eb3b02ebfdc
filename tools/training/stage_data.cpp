// Reading, telling what was found, and dividing into both parts.
#include "tools/training/stage_data.h"

#include "data/resident_set.h"
#include "engine/core/error.h"
#include "tools/training/memory_needs.h"
#include "tools/training/resume.h"

namespace dermatome::training {
namespace {

std::vector<DataFingerprint::Entry> fingerprint(const data::ResidentSet& set, std::size_t first, std::size_t count) {
  std::vector<DataFingerprint::Entry> entries;
  for (std::size_t i = first; i < first + count; ++i) {
    entries.push_back({.id = set.ids[i], .hash = set.contents[i].low});
  }
  return entries;
}

// What was found out about the files: every stage reads the same ones.
void tell(const data::ResidentSet& set, const TrainOptions& options, const TrainingObserver& observer) {
  if (!observer.message) return;
  for (const auto& cause : set.report.left_out) observer.message("left out: " + cause);
  for (const auto& sentence : set.report.sentences(set.count())) observer.message(sentence);
  if (const std::size_t refused = set.report.misfitting_masks; refused > 0) {
    observer.message(fmt::format(
        "evaluate will refuse {} of these masks, as it takes only those of their photograph's size; `dermatome check "
        "--fix DIR` writes a copy that can be scored",
        refused));
  }
  if (options.cache != nullptr && !options.cache->write_failure().empty()) {
    observer.message("the cache is not complete: " + options.cache->write_failure());
  }
}

}  // namespace

void leave_if_asked(const TrainingObserver& observer) {
  if (observer.stop_requested && observer.stop_requested()) throw Interrupted();
}

StageData load_stage_data(const TrainOptions& options, const TrainingData& data, const TrainingObserver& observer,
                          const StageSettings& stage, const DataFingerprint& known, bool first_of_run) {
  const data::Preparation preparation = options.recipe.preparation(stage);
  std::vector<data::Sample> samples = data.train;
  samples.insert(samples.end(), data.validation.begin(), data.validation.end());
  if (options.cache != nullptr && observer.message) {
    observer.message(
        data::plan_sentence(options.cache->plan(samples, preparation), options.cache->folder(), preparation));
  }
  const auto progress = [&](std::size_t done, std::size_t total) {
    leave_if_asked(observer);
    if (observer.loading) observer.loading(done, total);
  };
  const data::ResidentSet set = data::load_resident_set(
      samples, preparation, {.cache = options.cache, .skip_bad = options.skip_bad, .progress = progress});
  if (first_of_run) tell(set, options, observer);
  const std::size_t training = set.count_of_first(data.train.size());
  DERMATOME_CHECK(training > 0, "no photograph to train on can be used; the first: {}", set.report.left_out.front());
  DERMATOME_CHECK(data.validation.empty() || training < set.count(),
                  "no photograph to validate on can be used; the last: {}", set.report.left_out.back());
  DataFingerprint now{.train = fingerprint(set, 0, training),
                      .validation = fingerprint(set, training, set.count() - training)};
  if (!known.train.empty()) check_same_data(known, now);
  const bool on_device = lie_on_device(options.residence, set.images.size() + set.masks.size(), options.device);
  if (!on_device && first_of_run && observer.message) {
    observer.message(fmt::format("the photographs stay in host memory; a batch goes to {} ahead of each step",
                                 to_string(options.device)));
  }
  const std::size_t pixels = set.mask_bytes();
  const auto part = [&](std::size_t first, std::size_t count) {
    return with_advice(fmt::format("the photographs of {} px", preparation.size),
                       advice_for_photographs(options.device, on_device), [&] {
                         return PhotographSet(std::span(set.images).subspan(first * pixels * 3, count * pixels * 3),
                                              std::span(set.masks).subspan(first * pixels, count * pixels),
                                              preparation.size, options.device, on_device, stage.batch);
                       });
  };
  return {.training = part(0, training),
          .validation = part(training, set.count() - training),
          .fingerprint = std::move(now)};
}

}  // namespace dermatome::training

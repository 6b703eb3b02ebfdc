// Members side by side.
#include "tools/training/ensemble.h"

#include <algorithm>
#include <set>

#include "engine/core/error.h"

namespace dermatome::training {
Ensemble::Ensemble(std::span<const std::filesystem::path> checkpoints, Device device, const CompileOptions& compile,
                   const PredictorOptions& options, TestTimeAugmentation augmentation)
    : augmentation_(augmentation) {
  DERMATOME_CHECK(!checkpoints.empty(), "an ensemble needs at least one checkpoint");
  for (const auto& checkpoint : checkpoints) {
    members_.push_back(std::make_unique<Predictor>(checkpoint, device, compile, options));
    const Predictor& member = *members_.back();
    const auto alike = std::find_if(readers_.begin(), readers_.end(),
                                    [&](const Predictor* reader) { return reader->reads_alike(member); });
    reader_of_.push_back(static_cast<std::size_t>(alike - readers_.begin()));
    if (alike == readers_.end()) readers_.push_back(&member);
  }
}

Ensemble::Ensemble(const std::filesystem::path& checkpoint, Device device, const CompileOptions& compile,
                   const PredictorOptions& options, TestTimeAugmentation augmentation)
    : Ensemble(std::span(&checkpoint, 1), device, compile, options, augmentation) {}

std::string Ensemble::sizes_text() const {
  std::set<int> sizes;
  for (const auto& member : members_) sizes.insert(member->size());
  std::string text;
  for (const int size : sizes) {
    const bool last = size == *sizes.rbegin();
    text += fmt::format("{}{}", text.empty() ? "" : last ? " and " : ", ", size);
  }
  return text + " px";
}

double Ensemble::threshold() const {
  const double threshold = members_.front()->threshold();
  for (const auto& member : members_) {
    if (member->threshold() == threshold) continue;
    fail_usage("the runs cut at different thresholds ({} and {}): say with --threshold where the ensemble shall cut",
               threshold, member->threshold());
  }
  return threshold;
}

std::vector<std::vector<MemberMaps>> Ensemble::maps(std::span<const std::vector<data::Image>> inputs,
                                                    std::span<const data::StoredGrid> grids) {
  DERMATOME_CHECK(inputs.size() == readers_.size(), "{} ways of reading cannot have inputs of {}", readers_.size(),
                  inputs.size());
  std::vector<std::vector<MemberMaps>> result(inputs.front().size());
  for (std::size_t m = 0; m < members_.size(); ++m) {
    const Predictor& member = *members_[m];
    const auto maps = augmented_probabilities(*members_[m], inputs[reader_of_[m]], augmentation_);
    for (std::size_t i = 0; i < maps.size(); ++i) {
      result[i].push_back({.plain = member.of_photograph(maps[i].plain, grids[i]),
                           .mean = member.of_photograph(maps[i].mean, grids[i])});
    }
  }
  return result;
}

}  // namespace dermatome::training

// Ensemble: one or several trained models that answer together, by the mean of their probabilities.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tools/training/predictor.h"
#include "tools/training/test_time_augmentation.h"

namespace dermatome::training {

// What one member says of a photograph: as it is, and the mean over its turns.
struct MemberMaps {
  ProbabilityMap plain, mean;
};

class Ensemble {
 public:
  // A member a checkpoint, each with the size and preprocessing that it was trained with. Throws Error as Predictor
  // does.
  Ensemble(std::span<const std::filesystem::path> checkpoints, Device device, const CompileOptions& compile,
           const PredictorOptions& options = {}, TestTimeAugmentation augmentation = TestTimeAugmentation::none);
  // Of one checkpoint.
  Ensemble(const std::filesystem::path& checkpoint, Device device, const CompileOptions& compile,
           const PredictorOptions& options = {}, TestTimeAugmentation augmentation = TestTimeAugmentation::none);

  std::size_t count() const { return members_.size(); }
  const Predictor& member(std::size_t index) const { return *members_[index]; }
  TestTimeAugmentation augmentation() const { return augmentation_; }

  // "128 px", or "128 and 256 px" where members differ.
  std::string sizes_text() const;

  // The threshold that all members cut at. Throws UsageError where they do not agree on one.
  double threshold() const;

  // The members whose way of reading photographs differs: one for each way. A photograph is read once by each.
  const std::vector<const Predictor*>& readers() const { return readers_; }

  // `inputs`: for each reader what it read of some photographs, in one order, which is that of their `grids`. Gives the
  // members' maps of each photograph.
  std::vector<std::vector<MemberMaps>> maps(std::span<const std::vector<data::Image>> inputs,
                                            std::span<const data::StoredGrid> grids);

 private:
  std::vector<std::unique_ptr<Predictor>> members_;
  std::vector<const Predictor*> readers_;
  std::vector<std::size_t> reader_of_;  // of each member
  TestTimeAugmentation augmentation_;
};

}  // namespace dermatome::training

// Where to cut probabilities: the threshold with the highest mean Jaccard index on photographs that a run was not
// trained on, found once and kept beside its checkpoint.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "data/image/image.h"
#include "tools/training/ensemble.h"
#include "tools/training/predictor_files.h"

namespace dermatome::training {

// Thresholds from 0.02 to 0.98 in steps of 0.02.
inline constexpr std::size_t kThresholds = 49;
double threshold_at(std::size_t index);

// The Jaccard index at each threshold, of one photograph or the mean over several.
struct ThresholdCurve {
  std::size_t photographs = 0;
  std::array<double, kThresholds> jaccard{};
};

// Of probabilities in the grid of the true mask, each cut as predictions are (above the threshold is lesion), and each
// score as scores_of gives it. Throws Error where the sizes differ.
ThresholdCurve curve_of(std::span<const float> probability, const data::Image& truth);

// The mean over the photographs of all curves.
ThresholdCurve pooled(std::span<const ThresholdCurve> curves);

// The highest mean; of equal ones the closest to 0.5.
struct BestThreshold {
  double threshold = 0.5;
  double jaccard = 0;
  double jaccard_at_half = 0;
};
BestThreshold best_of(const ThresholdCurve& curve);

// The curve of what the ensemble says of the samples. Throws Error naming the photographs that cannot be scored.
ThresholdCurve find_curve(Ensemble& ensemble, const std::vector<data::Sample>& samples, const OnProgress& progress);

// What a curve in a run's folder belongs to: it is not taken for anything else.
struct ThresholdKey {
  std::string checkpoint;       // the file's name
  std::int64_t steps_done = 0;  // that the checkpoint has behind it
  int size = 0;                 // of the network's input
  TestTimeAugmentation augmentation = TestTimeAugmentation::none;
};

inline constexpr const char* kThresholdFile = "threshold.json";  // in the folder of a run

// Absent where the folder holds none for the key, or a file that cannot be read.
std::optional<ThresholdCurve> stored_curve(const std::filesystem::path& run, const ThresholdKey& key);
// Beside those of other keys. Throws Error where that cannot be written.
void store_curve(const std::filesystem::path& run, const ThresholdKey& key, const ThresholdCurve& curve);

}  // namespace dermatome::training

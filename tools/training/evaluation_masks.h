// Scoring masks that lie in a folder, whoever predicted them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/training/evaluation.h"

namespace dermatome::training {

struct MaskPair {
  std::string id;  // the true mask's file name without ending and without _segmentation, _mask or _lesion
  std::filesystem::path prediction, truth;
};

struct MaskPairs {
  std::vector<MaskPair> pairs;     // one a true mask, sorted by id
  std::vector<std::string> extra;  // names of predictions without a true mask, sorted
};

// Pictures of both folders and of the folders below them, paired by id in any case. Where names with such a suffix are
// among a folder's pictures, those without are photographs and passed over, as pictures named *_overlay are. Throws
// Error naming the folder or the names: a folder that does not exist or holds no masks, two masks of one id, true masks
// without a prediction.
MaskPairs pair_masks(const std::filesystem::path& predictions, const std::filesystem::path& truth);

// A predicted pixel, too, is lesion when its stored value is above 128. Throws Error naming all files that are
// unreadable or of another size than their true mask, and as read_truth does.
Evaluation evaluate_masks(const std::vector<MaskPair>& pairs, const OnProgress& progress = {});

}  // namespace dermatome::training

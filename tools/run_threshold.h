// The threshold of runs: found on the photographs that each was validated on, and kept in its folder.
#pragma once

#include <string>
#include <vector>

#include "tools/command.h"
#include "tools/progress.h"
#include "tools/training/test_time_augmentation.h"

namespace dermatome {

// The threshold with the highest mean Jaccard index over the validation parts of all runs, each predicted by its own
// run alone: so no photograph is scored by a network that was trained on it. `size`: of the network's input, 0 as
// trained. Throws Error where a run has no validation part or its photographs are gone.
double best_threshold_of(const std::vector<std::string>& runs, int size, training::TestTimeAugmentation augmentation,
                         const RunOptions& options, Progress& progress);

}  // namespace dermatome

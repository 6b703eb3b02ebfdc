// From a folder of folds to what its report shows.
#pragma once

#include <filesystem>

#include "engine/compile/options.h"
#include "engine/core/device.h"
#include "tools/progress.h"
#include "tools/report/folds.h"

namespace dermatome {

// Reads the folds' logs and scores all of them together on the test part, where there is one. What is missing becomes a
// note. Throws Error where the folder's folds.json is damaged.
report::FoldsReport read_folds_report(const std::filesystem::path& folder, Device device, const CompileOptions& compile,
                                      Progress& progress);

}  // namespace dermatome

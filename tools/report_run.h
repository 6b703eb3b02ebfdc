// From a run's folder to what a report shows of it, whatever became of the run.
#pragma once

#include <filesystem>

#include "engine/compile/options.h"
#include "engine/core/device.h"
#include "tools/progress.h"
#include "tools/report/report_data.h"

namespace dermatome {

// Reads settings and logs and scores the photographs of the validation part with the run's best checkpoint. What is not
// there (no checkpoint yet, no validation part, photographs that were moved) becomes a note of the report. Throws Error
// where the folder is not that of a run.
report::ReportData read_run(const std::filesystem::path& run, Device device, const CompileOptions& compile,
                            Progress& progress);

}  // namespace dermatome

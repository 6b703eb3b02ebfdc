// From a run's folder to what a report shows of it, whatever became of the run.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/compile/options.h"
#include "engine/core/device.h"
#include "tools/progress.h"
#include "tools/report/report_data.h"
#include "tools/training/evaluation.h"

namespace dermatome {

// Reads settings and logs and scores the photographs of the validation part with the run's best checkpoint. What is not
// there (no checkpoint yet, no validation part, photographs that were moved) becomes a note of the report. Throws Error
// where the folder is not that of a run.
report::ReportData read_run(const std::filesystem::path& run, Device device, const CompileOptions& compile,
                            Progress& progress);

// A run's epochs alone, under that name.
report::ReportData read_epochs_of_run(const std::filesystem::path& run, const std::string& name);

// Photographs scored in several ways, with pictures of what the last way predicts.
struct ScoredImages {
  std::vector<report::ReportImage> images;
  std::vector<training::Evaluation> evaluations;  // one a variant
};
ScoredImages scored_images(training::Ensemble& ensemble, std::span<const training::Variant> variants,
                           const std::vector<data::Sample>& samples, bool skip_bad, const std::string& label,
                           Progress& progress);

// Means with their intervals.
std::vector<report::Metric> metrics_of(const training::Evaluation& evaluation, std::uint64_t seed);

}  // namespace dermatome

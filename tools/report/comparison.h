// The page that lays several runs beside each other: what `dermatome report RUN RUN ...` writes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/report/report_data.h"

namespace dermatome::report {

inline constexpr std::size_t kMostRuns = 6;  // as many colours as can be told apart

// How a run's Jaccard index differs from the first run's on the photographs that both were scored on.
struct Difference {
  std::size_t photographs = 0;
  double mean = kMissing;             // of (this run - first run)
  std::optional<double> low, high;    // 95 % bootstrap interval of that mean: photographs are resampled in pairs
  std::size_t higher = 0, lower = 0;  // photographs on which this run scores higher or lower
};
Difference difference(const std::vector<ReportImage>& first, const std::vector<ReportImage>& other);

// Settings whose values are not the same in all runs, one value a run ("–" where a run has none). A recipe's text
// counts as one setting a line, named by its table.
struct DifferingSetting {
  std::string name;
  std::vector<std::string> values;
};
std::vector<DifferingSetting> differing_settings(const std::vector<ReportData>& runs);

// Photographs scored in all runs whose Jaccard differs most between them, the largest difference first: for each its
// index in every run's images.
std::vector<std::vector<std::size_t>> most_different(const std::vector<ReportData>& runs, std::size_t most);

// As render_html. `runs`: 2 to kMostRuns.
std::string render_comparison(const std::vector<ReportData>& runs);

}  // namespace dermatome::report

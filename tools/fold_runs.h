// A folder of folds: runs of cross-validation beside each other, and what they came to.
#pragma once

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include "tools/training/recipe.h"

namespace dermatome {

// FOLDER/folds.json says how many folds there are and what they were begun with; FOLDER/folds.csv which photograph is
// in which; FOLDER/resolved.toml by which recipe; FOLDER/fold1, fold2, ... are the runs.
struct FoldRuns {
  std::filesystem::path folder;
  int folds = 0;
  nlohmann::json info;

  std::filesystem::path run_of(int fold) const;  // from 1
  std::filesystem::path split() const { return folder / "folds.csv"; }
  std::filesystem::path recipe() const { return folder / "resolved.toml"; }
  std::filesystem::path summary() const { return folder / "summary.csv"; }
};

bool holds_folds(const std::filesystem::path& folder);

// Throws Error, naming the file, where folds.json is damaged.
FoldRuns read_fold_runs(const std::filesystem::path& folder);

// The folders of all runs. Throws Error naming the first fold that has no checkpoint.
std::vector<std::string> runs_of_folds(const std::filesystem::path& folder);

// What a fold's best epoch scored on its validation part, at the network's size.
struct FoldResult {
  int fold = 0;
  int epochs = 0;  // done
  int best_epoch = 0;
  double loss = 0, jaccard = 0, thresholded_jaccard = 0, dice = 0;
};

// Of the folds that have finished an epoch.
std::vector<FoldResult> results_of(const FoldRuns& runs);

// The mean over the folds, and the standard deviation of a sample (n - 1; 0 for one).
struct Spread {
  double mean = 0, deviation = 0;
};
Spread spread_of(const std::vector<FoldResult>& results, double FoldResult::*value);

// A table with a row a fold, the mean and the deviation, for the terminal; and as CSV.
std::string to_text(const std::vector<FoldResult>& results);
std::string to_csv(const std::vector<FoldResult>& results);

}  // namespace dermatome

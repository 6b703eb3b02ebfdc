// Reading a folder of folds.
#include "tools/fold_runs.h"

#include <fmt/format.h>

#include <cmath>

#include "data/files.h"
#include "engine/core/error.h"
#include "tools/training/checkpoint.h"
#include "tools/training/log.h"

namespace dermatome {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolds = "folds.json";

std::optional<FoldResult> result_of(const FoldRuns& runs, int fold) {
  const fs::path run = runs.run_of(fold);
  if (!fs::exists(run / "best.safetensors") || !fs::exists(run / "log.csv")) return std::nullopt;
  const int best = training::read_checkpoint(run / "best.safetensors", true).info.position.best_epoch;
  const auto rows = training::read_epoch_log(run / "log.csv");
  for (const auto& row : rows) {
    if (row.epoch != best) continue;
    return FoldResult{.fold = fold,
                      .epochs = static_cast<int>(rows.size()),
                      .best_epoch = best,
                      .loss = row.validation_loss,
                      .jaccard = row.validation_jaccard,
                      .thresholded_jaccard = row.validation_thresholded_jaccard,
                      .dice = row.validation_dice};
  }
  return std::nullopt;
}

using Column = double FoldResult::*;
constexpr Column kColumns[] = {&FoldResult::loss, &FoldResult::jaccard, &FoldResult::thresholded_jaccard,
                               &FoldResult::dice};

}  // namespace

fs::path FoldRuns::run_of(int fold) const {
  return folder / fmt::format("fold{}", fold);
}

bool holds_folds(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_regular_file(folder / kFolds, ignored);
}

FoldRuns read_fold_runs(const fs::path& folder) {
  const fs::path file = folder / kFolds;
  const auto info = nlohmann::json::parse(data::read_file(file), nullptr, false);
  const auto folds = info.is_object() ? info.find("folds") : info.end();
  DERMATOME_CHECK(info.is_object() && folds != info.end() && folds->is_number_integer() && *folds >= 2,
                  "{} is damaged: it does not say how many folds there are", file.string());
  return {.folder = folder, .folds = folds->get<int>(), .info = info};
}

std::vector<std::string> runs_of_folds(const fs::path& folder) {
  const FoldRuns runs = read_fold_runs(folder);
  std::vector<std::string> folders;
  for (int fold = 1; fold <= runs.folds; ++fold) {
    const fs::path run = runs.run_of(fold);
    DERMATOME_CHECK(fs::exists(run / "best.safetensors") || fs::exists(run / "last.safetensors"),
                    "{} is of {} folds, and fold {} has no checkpoint yet; `dermatome train --run {} --resume` goes on",
                    folder.string(), runs.folds, fold, folder.string());
    folders.push_back(run.string());
  }
  return folders;
}

std::vector<FoldResult> results_of(const FoldRuns& runs) {
  std::vector<FoldResult> results;
  for (int fold = 1; fold <= runs.folds; ++fold) {
    if (const auto result = result_of(runs, fold)) results.push_back(*result);
  }
  return results;
}

Spread spread_of(const std::vector<FoldResult>& results, double FoldResult::*value) {
  const auto count = static_cast<double>(results.size());
  Spread spread;
  for (const auto& result : results) spread.mean += result.*value / count;
  double squares = 0;
  for (const auto& result : results) squares += std::pow(result.*value - spread.mean, 2);
  if (results.size() > 1) spread.deviation = std::sqrt(squares / (count - 1));
  return spread;
}

std::string to_text(const std::vector<FoldResult>& results) {
  std::string text = fmt::format("{:<5} {:>7} {:>11} {:>8} {:>8} {:>12} {:>7}\n", "fold", "epochs", "best epoch",
                                 "loss", "jaccard", "thresholded", "dice");
  for (const auto& r : results) {
    text += fmt::format("{:<5} {:>7} {:>11} {:>8.4f} {:>8.4f} {:>12.4f} {:>7.4f}\n", r.fold, r.epochs, r.best_epoch,
                        r.loss, r.jaccard, r.thresholded_jaccard, r.dice);
  }
  for (const bool mean : {true, false}) {
    text += fmt::format("{:<25}", mean ? "mean" : "standard deviation");
    for (const auto& [column, width] :
         {std::pair{kColumns[0], 9}, {kColumns[1], 9}, {kColumns[2], 13}, {kColumns[3], 8}}) {
      const Spread spread = spread_of(results, column);
      text += fmt::format("{:>{}.4f}", mean ? spread.mean : spread.deviation, width);
    }
    text += "\n";
  }
  return text;
}

std::string to_csv(const std::vector<FoldResult>& results) {
  std::string text = "fold,epochs,best_epoch,loss,jaccard,thresholded_jaccard,dice\n";
  for (const auto& r : results) {
    text += fmt::format("{},{},{},{:.9g},{:.9g},{:.9g},{:.9g}\n", r.fold, r.epochs, r.best_epoch, r.loss, r.jaccard,
                        r.thresholded_jaccard, r.dice);
  }
  for (const bool mean : {true, false}) {
    text += mean ? "mean,," : "sd,,";
    for (const auto column : kColumns) {
      const Spread spread = spread_of(results, column);
      text += fmt::format(",{:.9g}", mean ? spread.mean : spread.deviation);
    }
    text += "\n";
  }
  return text;
}

}  // namespace dermatome

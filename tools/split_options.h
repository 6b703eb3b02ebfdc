// Which photographs are trained on, which validate and which are kept for a test: options of train, and what they make.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

#include "data/folds.h"
#include "data/groups.h"
#include "tools/data_options.h"
#include "tools/progress.h"
#include "tools/training/trainer.h"

namespace dermatome {

struct SplitOptions {
  std::string validation;  // --validation: a folder of its own
  std::string split;       // --split: a file
  double validation_share = 0.2;
  double test_share = 0;
  std::string groups, group_column;  // --groups: a CSV of patients or lesions, --group-column: one column of it
  std::string near_duplicates = "together";
};

struct SplitData {
  training::TrainingData data;
  std::vector<std::string> ids;
  std::vector<data::Part> parts;
  data::Groups groups;  // empty where nothing was asked for or found
};

// Splits the photographs that `data` names. Where parts are drawn, photographs of one group and near-duplicates stay
// together; where they are given by a file or folders, those that are torn apart are told. Throws StoppedBySignal.
SplitData split_samples(const DataOptions& data, const SplitOptions& options, std::uint64_t seed, data::Cache* cache,
                        Progress& progress);

// Photographs dealt into folds for cross-validation.
struct FoldedSamples {
  std::vector<data::Sample> samples;
  std::vector<std::string> ids;
  std::vector<data::Fold> folds;
  data::Groups groups;  // empty where nothing was asked for or found
};

// By the options' share for a test, and groups and near-duplicates as above.
FoldedSamples fold_samples(const DataOptions& data, const SplitOptions& options, std::size_t folds, std::uint64_t seed,
                           data::Cache* cache, Progress& progress);

// As data::write_folds_csv has them.
FoldedSamples read_folds(const DataOptions& data, const std::filesystem::path& csv, std::size_t folds,
                         Progress& progress);

// What the run that fold `fold` validates (from 0) trains on.
SplitData split_of_fold(const FoldedSamples& folded, std::size_t fold);

// The options by which the parts are chosen, in `choosing` those that a run that goes on must not be given.
std::shared_ptr<SplitOptions> add_split_options(CLI::App& command, std::vector<CLI::Option*>& choosing);

}  // namespace dermatome

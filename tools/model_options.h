// Which trained models a command uses, and what it does with what they say: options of evaluate, predict and submit.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/command.h"
#include "tools/progress.h"
#include "tools/training/ensemble.h"
#include "tools/training/postprocessing.h"

namespace dermatome {

struct ModelOptions {
  std::vector<std::string> runs, weights;  // --run, --weights: several are an ensemble
  std::string model;                       // --model: of weights that do not say which network they are of
  int size = 0;
  std::optional<double> threshold;  // --threshold N
  bool best_threshold = false;      // --threshold best
  std::string augmentation = "none";
  std::string batch_option;  // "--batch " where the command has it; named where memory does not suffice
  training::PostProcessing postprocessing;

  bool names_a_model() const { return !runs.empty() || !weights.empty(); }

  // Whether anything is asked for beyond which models.
  bool asks_for_more() const;

  // What the user named, a folder of folds as its folds.
  std::vector<std::string> names() const;
  // Of these, in the same order. Throws UsageError where none is named or one is named twice.
  std::vector<std::filesystem::path> checkpoints() const;

  // With --threshold best, the threshold is found on the validation parts of the runs (docs/evaluation.md), or taken
  // from where an earlier command left it; both are told.
  training::Ensemble open(const RunOptions& options, Progress& progress) const;
};

// The object lives as long as the application does.
std::shared_ptr<ModelOptions> add_model_options(CLI::App& command);

// What answered, for the record of a command.
nlohmann::json to_json(const ModelOptions& options, const training::Ensemble& ensemble);

}  // namespace dermatome

// Weights from outside: what a run starts from, and what a prediction uses that has no checkpoint of ours.
#pragma once

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

#include "engine/graph/model.h"
#include "models/weight_matching.h"
#include "tools/training/checkpoint.h"
#include "tools/training/weight_settings.h"

namespace dermatome::training {

// The file itself, or the best checkpoint of a run's folder, or else its last. Throws Error where there is none.
std::filesystem::path weights_file(const std::filesystem::path& file_or_run);

// As read_weights; throws Error also for a checkpoint that a newer version wrote.
WeightFile read_weight_file(const std::filesystem::path& file);

// What a file's weights are to the model. Throws Error as read_weights does, and where none of them fits.
WeightMatch initial_weights(const std::filesystem::path& file, const Model& model);

// For run.json: the file, the names of the states that were loaded, and the keys that were not.
nlohmann::json to_json(const WeightMatch& match, const std::filesystem::path& file);

// Whether the file is a checkpoint of ours, whole or not: one that says which network it is of.
bool is_checkpoint(const std::filesystem::path& file);

// The checkpoint that the file is; or, where it is none or a model is named, its weights as a checkpoint of the model
// that the options name, or else the file itself, with what the file says of preprocessing and the options do not. The
// size is 0 where neither says one. Throws UsageError where neither names a model, and Error, naming the keys, where
// one of the model's weights is missing or of another shape: half a network predicts nothing.
Checkpoint read_checkpoint_or_weights(const std::filesystem::path& file, const PredictorOptions& options);

}  // namespace dermatome::training

// Weights from outside: what a run starts from, and what a prediction uses that has no checkpoint of ours.
#pragma once

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

#include "engine/graph/model.h"
#include "models/weight_matching.h"
#include "tools/training/checkpoint.h"

namespace dermatome::training {

// The file itself, or the best checkpoint of a run's folder, or else its last. Throws Error where there is none.
std::filesystem::path weights_file(const std::filesystem::path& file_or_run);

// What a file's weights are to the model. Throws Error as read_weights does, and where none of them fits.
WeightMatch initial_weights(const std::filesystem::path& file, const Model& model);

// For run.json: file, number of weights loaded, and the keys that were not.
nlohmann::json to_json(const WeightMatch& match, const std::filesystem::path& file);

// Whether the file is a checkpoint of ours, whole or not: one that says which network it is of.
bool is_checkpoint(const std::filesystem::path& file);

// The checkpoint that the file is, or its weights as a checkpoint of the model of that name at that size. Throws
// UsageError for weights where no model is named.
Checkpoint read_checkpoint_or_weights(const std::filesystem::path& file, const std::string& model, int size);

// The weights of a file of any kind as a checkpoint of the model at that size. Throws Error, naming the keys, where one
// of the model's weights is missing or of another shape: half a network predicts nothing.
Checkpoint checkpoint_of_weights(const std::filesystem::path& file, const Model& model, int size);

}  // namespace dermatome::training

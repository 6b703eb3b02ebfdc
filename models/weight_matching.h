// Which of a file's weights are which of a model's states.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/graph/graph.h"
#include "models/weight_file.h"

namespace dermatome {

struct WeightMatch {
  std::vector<std::pair<std::string, Tensor>> loaded;  // by the state's name; f32
  std::vector<std::string> missing;                    // states that the file lacks
  std::vector<std::string> unexpected;                 // weights that the model has no state for
  std::vector<std::string> mis_shaped;                 // "conv1.weight: [64, 1, 7, 7] instead of [64, 3, 7, 7]"
  std::vector<std::string> ignored;                    // a classifier (fc.*) that the model does not have
};

// By the file's own key where the model has a state of that name, else by its canonical name. Throws Error, with `file`
// in front, for a weight that holds an infinity or what is no number.
WeightMatch match_weights(const WeightFile& weights, const std::vector<StateDeclaration>& states,
                          const std::string& file);

// Sentences for a person: what was loaded, and every key that was not, by name.
std::vector<std::string> describe(const WeightMatch& match, const std::string& file, const std::string& model);

}  // namespace dermatome

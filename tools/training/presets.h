// Recipes that come with the program: the paper's, quirks included, and the one that avoids them.
#pragma once

#include <string>
#include <vector>

#include "tools/training/recipe.h"

namespace dermatome::training {

std::vector<std::string> preset_names();

// A recipe and why it is so.
struct Preset {
  Recipe recipe;
  RecipeComments comments;
};

// `trained_weights`: whether the run will start from trained weights of the encoder at least. From random ones
// `default` freezes nothing: running statistics that never saw a photograph would keep mean 0 and variance 1 for ever.
// `paper` is the same in either case. Throws UsageError for an unknown name.
Preset find_preset(const std::string& name, bool trained_weights);

// What has to be said when a run starts with the preset; empty where nothing has.
std::string preset_warning(const std::string& name, bool trained_weights);

}  // namespace dermatome::training

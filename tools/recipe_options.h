// Which recipe a command works with: a preset or a file, and assignments behind it.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

#include "tools/training/presets.h"

namespace dermatome {

struct RecipeOptions {
  std::string preset;
  bool pretrained = false;
  std::vector<std::string> settings;

  training::Recipe recipe(bool trained_weights) const;
  // The same on top of `base` where neither a preset nor a file is named.
  training::Recipe recipe(bool trained_weights, const training::Recipe& base) const;
  // The same with what a preset says about itself.
  training::Preset commented() const;
};

// --preset and the settings; --pretrained too for commands that take no weights to tell it by.
std::shared_ptr<RecipeOptions> add_recipe_options(CLI::App& command, const std::string& description,
                                                  bool with_pretrained);

}  // namespace dermatome

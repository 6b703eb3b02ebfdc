// Presets, recipe files and assignments.
#include "tools/recipe_options.h"

#include "engine/core/error.h"

namespace dermatome {
namespace {

void refuse_file(const RecipeOptions& options) {
  for (const auto& setting : options.settings) {
    if (setting.ends_with(".toml"))
      fail_usage("--preset {} is a recipe already; {} would be a second one", options.preset, setting);
  }
}

}  // namespace

training::Recipe RecipeOptions::recipe(bool trained_weights) const {
  const training::Recipe base;
  return recipe(trained_weights, base);
}

training::Recipe RecipeOptions::recipe(bool trained_weights, const training::Recipe& base) const {
  if (preset.empty()) return training::recipe_of(settings, base);
  refuse_file(*this);
  return training::recipe_of(settings, training::find_preset(preset, trained_weights).recipe);
}

training::Preset RecipeOptions::commented() const {
  training::Preset result;
  if (!preset.empty()) result.comments = training::find_preset(preset, pretrained).comments;
  result.recipe = recipe(pretrained);
  return result;
}

std::shared_ptr<RecipeOptions> add_recipe_options(CLI::App& command, const std::string& description,
                                                  bool with_pretrained) {
  auto options = std::make_shared<RecipeOptions>();
  auto* preset = command
                     .add_option("--preset", options->preset,
                                 "A recipe that comes with the program: the paper's, or the default one")
                     ->check(CLI::IsMember(training::preset_names()));
  if (with_pretrained) {
    command
        .add_flag("--pretrained", options->pretrained, "The preset's recipe for runs that start from trained weights")
        ->needs(preset);
  }
  command.add_option("settings", options->settings, description);
  return options;
}

}  // namespace dermatome

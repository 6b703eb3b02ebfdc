// dermatome config: prints a recipe, commented, to start one's own from.
#include "tools/command.h"
#include "tools/training/recipe.h"

namespace dermatome {

void add_config(CLI::App& app) {
  auto* command = app.add_subcommand("config", "Print the recipe that `train` runs without a configuration, commented");
  auto settings = std::make_shared<std::vector<std::string>>();
  command->add_option("settings", *settings, "A recipe file (.toml) and key=value assignments to apply first");
  command->callback([settings] {
    training::Recipe recipe;
    for (const auto& setting : *settings) {
      if (setting.ends_with(".toml")) {
        recipe = training::read_recipe(setting);
      } else {
        training::apply_override(recipe, setting);
      }
    }
    write_text("-", training::to_toml(recipe, true));
  });
}

}  // namespace dermatome

// dermatome config: prints a recipe, commented, to start one's own from; or every setting there is.
#include <fmt/format.h>

#include "tools/command.h"
#include "tools/recipe_options.h"

namespace dermatome {
namespace {

// In a table's cell a bar would end the cell.
std::string cell(std::string text) {
  for (auto at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) text.insert(at, "\\");
  return text;
}

// A default that is a table of its own is shown key by key below.
std::string fallback_of(const training::SettingDescription& setting) {
  return setting.fallback.size() > 3 && setting.fallback.starts_with("{") ? "as below" : "`" + setting.fallback + "`";
}

std::string table_of(const std::vector<training::SettingDescription>& settings, const std::string& table) {
  std::string text = "| key | takes | default | meaning |\n|---|---|---|---|\n";
  for (const auto& setting : settings) {
    if (setting.table != table) continue;
    text += fmt::format("| `{}` | {} | {} | {} |\n", setting.name, cell(setting.values), cell(fallback_of(setting)),
                        cell(setting.explanation));
  }
  return text;
}

std::string reference() {
  const auto settings = training::describe_settings();
  return "# Every setting of a recipe\n\n"
         "`dermatome config --reference` prints this page from the program's own table of settings; "
         "`dermatome config` prints them as a\ncommented recipe.\n\n"
         "A recipe is a TOML file, given to `train` by its name. Behind it, or instead of it, stand assignments:\n"
         "`dermatome train --data D --run R my.toml lr=3e-4 size=256 augmentation.zoom=1.1`. An assignment to a\n"
         "setting of a stage holds for all stages.\n\n"
         "## Of the run\n\nAt the top of the file.\n\n" +
         table_of(settings, "") +
         "\n## Of a stage\n\nBelow `[[stage]]`; several such tables run one after the other, each on the "
         "weights of the one before.\n\n" +
         table_of(settings, "stage") +
         "\n## Of a stage's augmentation\n\n`augmentation = \"full\"` is the table of these defaults, `\"none\"` "
         "leaves every photograph as it is, and\n`augmentation = { zoom = 1.1 }` changes single ones.\n\n" +
         table_of(settings, "augmentation");
}

}  // namespace

void add_config(CLI::App& app) {
  auto* command =
      app.add_subcommand("config", "Print a preset, or the recipe that `train` runs without one, commented");
  const auto options =
      add_recipe_options(*command, "A recipe file (.toml) and key=value assignments to apply first", true);
  auto all = std::make_shared<bool>(false);
  command->add_flag("--reference", *all, "Print every setting with its values, default and meaning, as Markdown")
      ->excludes(command->get_option("settings"))
      ->excludes(command->get_option("--preset"));
  command->callback([options, all] {
    if (*all) {
      write_text("-", reference());
    } else {
      const training::Preset preset = options->commented();
      write_text("-", training::to_toml(preset.recipe, true, preset.comments));
    }
  });
}

}  // namespace dermatome

// Reading and writing recipes: the schema's keys serve parsing, overrides, printing and its comments.
#include <algorithm>
#include <fstream>
#include <sstream>

#include "tools/training/recipe_schema.h"

namespace dermatome::training {
namespace {

StageSettings parse_stage(const toml::table& table, const std::string& file) {
  StageSettings stage;
  for (const auto& [name, node] : table) {
    set_key(stage_keys(), stage, "", std::string(name.str()), node, file, name.source());
  }
  return stage;
}

}  // namespace

std::vector<std::string> best_by_names() {
  return {"jaccard", "thresholded_jaccard", "dice"};
}
std::string name_of(BestBy score) {
  return best_by_names()[static_cast<std::size_t>(score)];
}

double StageSettings::rate_of(const std::string& group) const {
  const auto found = group_lr.find(group);
  const double rate = found == group_lr.end() ? lr : found->second;
  auto scale = lr_scale.find(group);
  if (scale == lr_scale.end()) scale = lr_scale.find(kOtherGroups);
  return scale == lr_scale.end() ? rate : rate * scale->second;
}

std::int64_t StageSettings::steps_of_epoch(std::int64_t photographs) const {
  const std::int64_t per_step = std::int64_t{batch} * accumulate;
  return (photographs + per_step - 1) / per_step;
}

Recipe parse_recipe(std::string_view text, const std::string& file) {
  toml::table root;
  try {
    root = toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    fail_usage("{}{}", place(file, error.source()), error.description());
  }
  Recipe recipe;
  for (const auto& [key, node] : root) {
    const std::string name(key.str());
    if (name != "stage") {
      const auto& known = recipe_keys();
      if (find_key(known, name) == nullptr && find_key(stage_keys(), name) != nullptr) {
        fail_usage("{}'{}' belongs to a stage: put it below [[stage]]", place(file, key.source()), name);
      }
      set_key(known, recipe, "", name, node, file, key.source());
      continue;
    }
    const auto* stages = node.as_array();
    if (stages == nullptr || stages->empty()) fail_usage("{}stages are written [[stage]]", place(file, key.source()));
    recipe.stages.clear();
    for (const auto& stage : *stages) {
      if (!stage.is_table()) fail_usage("{}stages are written [[stage]]", place(file, stage.source()));
      recipe.stages.push_back(parse_stage(*stage.as_table(), file));
    }
  }
  return recipe;
}

Recipe read_recipe(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  DERMATOME_CHECK(file.good() && !std::filesystem::is_directory(path), "the recipe {} cannot be read", path.string());
  std::stringstream text;
  text << file.rdbuf();
  return parse_recipe(text.str(), path.filename().string());
}

void apply_override(Recipe& recipe, std::string_view assignment) {
  const auto equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    fail_usage("'{}' is neither a recipe file (.toml) nor an assignment key=value", assignment);
  }
  const std::string key(assignment.substr(0, equals));
  const std::string value(assignment.substr(equals + 1));
  const std::string top = key.substr(0, key.find('.'));
  toml::table table;
  try {
    table = toml::parse(fmt::format("{} = {}", key, value));
  } catch (const toml::parse_error&) {
    try {  // a bare word is a string
      table = toml::parse(fmt::format("{} = {}", key, quoted(value)));
    } catch (const toml::parse_error&) {
      fail_usage("'{}' is not of the form key=value", assignment);
    }
  }
  const toml::node& node = *table.get(top);
  if (find_key(recipe_keys(), top) != nullptr) {
    set_key(recipe_keys(), recipe, "", top, node, "", {});
    return;
  }
  if (find_key(stage_keys(), top) == nullptr) {
    auto names = names_of(stage_keys());
    for (const auto& name : names_of(recipe_keys())) names.push_back(name);
    const std::string near = nearest(top, names);
    fail_usage("there is no setting '{}'{}", top,
               near.empty() ? "; `dermatome config` lists them" : fmt::format("; did you mean '{}'?", near));
  }
  for (auto& stage : recipe.stages) set_key(stage_keys(), stage, "", top, node, "", {});
}

Recipe recipe_of(const std::vector<std::string>& settings, const Recipe& base) {
  Recipe recipe = base;
  bool file_seen = false;
  for (const auto& setting : settings) {
    if (!setting.ends_with(".toml")) continue;
    if (file_seen) fail_usage("one recipe file is enough; '{}' is a second one", setting);
    recipe = read_recipe(setting);
    file_seen = true;
  }
  for (const auto& setting : settings) {
    if (!setting.ends_with(".toml")) apply_override(recipe, setting);
  }
  return recipe;
}

std::string to_toml(const Recipe& recipe, bool commented, const RecipeComments& comments) {
  std::string text;
  const auto line = [&](const std::string& name, const std::string& value, const std::string& comment) {
    text += fmt::format("{} = {}", name, value);
    if (commented && !comment.empty()) text += fmt::format("  # {}", comment);
    text += "\n";
  };
  if (commented) text += "# A dermatome recipe: settings of the run, then one [[stage]] after the other.\n";
  for (const auto& comment : comments.head) text += fmt::format("# {}\n", comment);
  for (const auto& key : recipe_keys()) line(key.name, key.print(recipe), key.explanation);
  for (std::size_t s = 0; s < recipe.stages.size(); ++s) {
    text += "\n";
    if (s < comments.stages.size()) text += fmt::format("# {}\n", comments.stages[s]);
    text += "[[stage]]\n";
    for (const auto& key : stage_keys()) line(key.name, key.print(recipe.stages[s]), key.explanation);
  }
  return text;
}

std::vector<SettingDescription> describe_settings() {
  std::vector<SettingDescription> list;
  const auto add = [&](const std::string& table, const auto& keys, const auto& defaults) {
    for (const auto& key : keys) {
      list.push_back({.table = table,
                      .name = key.name,
                      .values = key.kind.text(),
                      .choices = key.kind.choices,
                      .fallback = key.print(defaults),
                      .explanation = key.explanation});
    }
  };
  const Recipe recipe;
  add("", recipe_keys(), recipe);
  add("stage", stage_keys(), recipe.stages.front());
  add("augmentation", augmentation_keys(), data::AugmentationSettings{});
  return list;
}

std::vector<SettingDifference> differences(const Recipe& a, const Recipe& b) {
  std::vector<SettingDifference> result;
  const auto compare = [&](int stage, const auto& keys, const auto& of_a, const auto& of_b) {
    for (const auto& key : keys) {
      if (key.print(of_a) != key.print(of_b)) result.push_back({stage, key.name, key.print(of_a), key.print(of_b)});
    }
  };
  compare(0, recipe_keys(), a, b);
  for (std::size_t s = 0; s < std::min(a.stages.size(), b.stages.size()); ++s) {
    compare(static_cast<int>(s) + 1, stage_keys(), a.stages[s], b.stages[s]);
  }
  return result;
}

std::string losses_text(const Recipe& recipe) {
  const auto& stages = recipe.stages;
  const std::string first = loss_text(stages.front().loss);
  if (std::all_of(stages.begin(), stages.end(), [&](const auto& stage) { return loss_text(stage.loss) == first; })) {
    return first;
  }
  std::string text;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    text += fmt::format("{}{} (stage {})", s > 0 ? ", " : "", loss_text(stages[s].loss), s + 1);
  }
  return text;
}

void check_groups(const Recipe& recipe, const std::vector<std::string>& groups) {
  const auto check = [&](const std::string& group) {
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) {
      fail_usage("the model {} has no parameter group '{}'{}", recipe.model, group, did_you_mean(group, groups));
    }
  };
  for (const auto& stage : recipe.stages) {
    for (const auto& group : stage.frozen) check(group);
    for (const auto& [group, rate] : stage.group_lr) check(group);
    for (const auto& [group, scale] : stage.lr_scale) {
      if (group != kOtherGroups) check(group);
    }
    if (!groups.empty() && std::all_of(groups.begin(), groups.end(), [&](const std::string& group) {
          return std::find(stage.frozen.begin(), stage.frozen.end(), group) != stage.frozen.end();
        })) {
      fail_usage("a stage freezes every parameter group, so nothing would be trained");
    }
  }
}

}  // namespace dermatome::training

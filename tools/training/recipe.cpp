// Reading and writing recipes: one table of keys serves parsing, overrides, printing and its comments.
#include "tools/training/recipe.h"

#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>

#include "engine/core/error.h"
#include "engine/core/suggest.h"

namespace dermatome::training {
namespace {

std::string place(const std::string& file, const toml::source_region& source) {
  if (file.empty()) return "";  // an assignment on the command line
  return source.begin.line > 0 ? fmt::format("{}:{}: ", file, source.begin.line) : file + ": ";
}

// A TOML value under its key, with what an error needs to say.
struct Item {
  const toml::node& node;
  std::string key;
  std::string file;

  [[noreturn]] void fail(const std::string& wanted) const {
    fail_usage("{}{} must be {}", place(file, node.source()), key, wanted);
  }
  double number(double low, double high, const char* wanted) const {
    const auto value = node.value<double>();
    if (!value || !node.is_number() || !(*value >= low && *value <= high)) fail(wanted);
    return *value;
  }
  std::int64_t whole(std::int64_t low, std::int64_t high) const {
    const auto value = node.value<std::int64_t>();
    if (!value || !node.is_integer() || *value < low || *value > high) {
      fail(fmt::format("a whole number from {} to {}", low, high));
    }
    return *value;
  }
  std::string word(const std::vector<std::string>& choices) const {
    const auto value = node.value<std::string>();
    if (!value) fail(fmt::format("one of {}", fmt::join(choices, ", ")));
    if (std::find(choices.begin(), choices.end(), *value) == choices.end()) {
      fail(fmt::format("one of {}, not '{}'{}", fmt::join(choices, ", "), *value,
                       nearest(*value, choices).empty() ? "" : did_you_mean(*value, choices)));
    }
    return *value;
  }
  bool truth() const {
    const auto value = node.value<bool>();
    if (!value || !node.is_boolean()) fail("true or false");
    return *value;
  }
};

// One key of a table: what it means, how it is set, how it is printed.
template <typename Target>
struct Key {
  std::string name;
  std::string comment;
  std::function<void(Target&, const Item&)> set;
  std::function<std::string(const Target&)> print;
};

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

std::string real_text(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string real_text(float value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string list_text(const std::vector<std::string>& list) {
  std::vector<std::string> parts;
  for (const auto& entry : list) parts.push_back(quoted(entry));
  return fmt::format("[{}]", fmt::join(parts, ", "));
}

std::vector<std::string> word_list(const Item& item) {
  const auto* array = item.node.as_array();
  if (array == nullptr) item.fail("a list of words");
  std::vector<std::string> words;
  for (const auto& element : *array) {
    const auto word = element.value<std::string>();
    if (!word) item.fail("a list of words");
    words.push_back(*word);
  }
  return words;
}

// The rate of the groups that a table of rates does not name.
constexpr const char* kOtherGroups = "*";

// Groups have dots in their names, which TOML reads as tables in tables: lr.encoder.early = 1e-5.
void set_group_rates(StageSettings& stage, const toml::table& table, const std::string& prefix, const Item& item) {
  for (const auto& [key, node] : table) {
    const std::string group = prefix + std::string(key.str());
    if (const auto* below = node.as_table()) {
      set_group_rates(stage, *below, group + ".", item);
      continue;
    }
    const Item rate{node, fmt::format("{}.{}", item.key, group), item.file};
    const double value = rate.number(0, 100, "a rate from 0 to 100");
    (group == kOtherGroups ? stage.lr : stage.group_lr[group]) = value;
  }
}

void set_rates(StageSettings& stage, const Item& item) {
  if (const auto* table = item.node.as_table()) {
    set_group_rates(stage, *table, "", item);
    return;
  }
  stage.lr = item.number(0, 100, "a rate from 0 to 100, or a table of rates by group");
  stage.group_lr.clear();
}

std::string rates_text(const StageSettings& stage) {
  if (stage.group_lr.empty()) return real_text(stage.lr);
  std::string text = fmt::format("{{ {} = {}", quoted(kOtherGroups), real_text(stage.lr));
  for (const auto& [group, rate] : stage.group_lr) text += fmt::format(", {} = {}", quoted(group), real_text(rate));
  return text + " }";
}

const std::vector<Key<data::AugmentationSettings>>& augmentation_keys() {
  using Settings = data::AugmentationSettings;
  const auto real = [](std::string name, std::string comment, float Settings::*field, double low, double high,
                       const char* range) {
    return Key<Settings>{
        std::move(name), std::move(comment),
        [=](Settings& s, const Item& item) { s.*field = static_cast<float>(item.number(low, high, range)); },
        [=](const Settings& s) { return real_text(s.*field); }};
  };
  const auto truth = [](std::string name, std::string comment, bool Settings::*field) {
    return Key<Settings>{std::move(name), std::move(comment),
                         [=](Settings& s, const Item& item) { s.*field = item.truth(); },
                         [=](const Settings& s) { return s.*field ? "true" : "false"; }};
  };
  static const std::vector<Key<Settings>> keys{
      truth("dihedral", "turns by quarters", &Settings::dihedral),
      real("flip_probability", "left and right exchanged", &Settings::flip_probability, 0, 1, "a share from 0 to 1"),
      real("rotate_degrees", "rotation U(-this, this)", &Settings::rotate_degrees, 0, 180, "degrees from 0 to 180"),
      real("rotate_probability", "", &Settings::rotate_probability, 0, 1, "a share from 0 to 1"),
      real("zoom", "magnification U(1, this)", &Settings::zoom, 1, 10, "a factor from 1 to 10"),
      real("zoom_probability", "", &Settings::zoom_probability, 0, 1, "a share from 0 to 1"),
      real("lighting", "brightness and contrast U(-this, this)", &Settings::lighting, 0, 0.99,
           "a number from 0 to 0.99"),
      truth("reflect_mask", "false: beyond the border a mask is background, as in fastai 0.7", &Settings::reflect_mask),
      truth("rotate_about_whole_pixel", "true: about pixel (S/2, S/2), as in fastai 0.7",
            &Settings::rotate_about_whole_pixel),
  };
  return keys;
}

template <typename Target>
const Key<Target>* find_key(const std::vector<Key<Target>>& keys, std::string_view name) {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const Key<Target>& key) { return key.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

template <typename Target>
std::vector<std::string> names_of(const std::vector<Key<Target>>& keys) {
  std::vector<std::string> names;
  for (const auto& key : keys) names.push_back(key.name);
  return names;
}

template <typename Target>
void set_key(const std::vector<Key<Target>>& keys, Target& target, const std::string& prefix, const std::string& name,
             const toml::node& node, const std::string& file, const toml::source_region& source) {
  const Key<Target>* key = find_key(keys, name);
  if (key == nullptr)
    fail_usage("{}there is no setting '{}{}'{}", place(file, source), prefix, name, did_you_mean(name, names_of(keys)));
  key->set(target, {node, prefix + name, file});
}

void set_augmentation(StageSettings& stage, const Item& item) {
  if (const auto word = item.node.value<std::string>()) {
    if (*word != "full" && *word != "none") item.fail("\"full\", \"none\" or a table of settings");
    stage.augmentation = *word == "full" ? data::AugmentationSettings{} : data::AugmentationSettings::none();
    return;
  }
  const auto* table = item.node.as_table();
  if (table == nullptr) item.fail("\"full\", \"none\" or a table of settings");
  for (const auto& [name, node] : *table) {
    set_key(augmentation_keys(), stage.augmentation, item.key + ".", std::string(name.str()), node, item.file,
            node.source());
  }
}

std::string augmentation_text(const StageSettings& stage) {
  std::vector<std::string> parts;
  for (const auto& key : augmentation_keys()) parts.push_back(key.name + " = " + key.print(stage.augmentation));
  return fmt::format("{{ {} }}", fmt::join(parts, ", "));
}

const std::vector<Key<StageSettings>>& stage_keys() {
  using S = StageSettings;
  const auto whole = [](std::string name, std::string comment, int S::*field, int low, int high) {
    return Key<S>{std::move(name), std::move(comment),
                  [=](S& s, const Item& item) { s.*field = static_cast<int>(item.whole(low, high)); },
                  [=](const S& s) { return std::to_string(s.*field); }};
  };
  const auto real = [](std::string name, std::string comment, double S::*field, double low, double high,
                       const char* range) {
    return Key<S>{std::move(name), std::move(comment),
                  [=](S& s, const Item& item) { s.*field = item.number(low, high, range); },
                  [=](const S& s) { return real_text(s.*field); }};
  };
  static const std::vector<Key<S>> keys{
      whole("size", "photographs are squashed to size x size pixels; a multiple of 32 for U-Net34", &S::size, 1, 8192),
      whole("batch", "images a step", &S::batch, 1, 65536),
      whole("accumulate", "batches whose gradients are added before the weights move", &S::accumulate, 1, 65536),
      whole("epochs", "", &S::epochs, 1, 1000000),
      {"frozen", "parameter groups that do not learn, of encoder.early, encoder.late, decoder",
       [](S& s, const Item& item) { s.frozen = word_list(item); }, [](const S& s) { return list_text(s.frozen); }},
      {"batch_norm",
       "live: batch statistics, running ones move; frozen: running statistics everywhere, gamma and beta learn",
       [](S& s, const Item& item) {
         s.batch_norm = item.word({"live", "frozen"});
       },
       [](const S& s) { return quoted(s.batch_norm); }},
      {"schedule", "use_clr, stlr or constant",
       [](S& s, const Item& item) { s.schedule.name = item.word(schedule_names()); },
       [](const S& s) { return quoted(s.schedule.name); }},
      {"div", "use_clr: largest rate / smallest rate",
       [](S& s, const Item& item) { s.schedule.div = item.number(1, 1e9, "a factor of at least 1"); },
       [](const S& s) { return real_text(s.schedule.div); }},
      {"cut_div", "use_clr: the rate rises for 1/cut_div of the steps",
       [](S& s, const Item& item) { s.schedule.cut_div = item.whole(1, 1000000); },
       [](const S& s) { return std::to_string(s.schedule.cut_div); }},
      {"lr", "largest learning rate, or one a group: { decoder = 1e-3, \"*\" = 1e-5 }, * for all others", set_rates,
       rates_text},
      real("beta1", "Adam", &S::beta1, 0, 0.999999, "a number from 0 to below 1"),
      real("beta2", "", &S::beta2, 0, 0.999999999, "a number from 0 to below 1"),
      real("eps", "", &S::eps, 0, 1, "a number from 0 to 1"),
      real("weight_decay", "L2, added to the gradient", &S::weight_decay, 0, 1, "a number from 0 to 1"),
      {"augmentation", "\"full\", \"none\", or what differs from full", set_augmentation, augmentation_text},
  };
  return keys;
}

const std::vector<Key<Recipe>>& recipe_keys() {
  static const std::vector<Key<Recipe>> keys{
      {"model", "unet34, unet34_large_head, or the path of a .graph file",
       [](Recipe& r, const Item& item) {
         const auto word = item.node.value<std::string>();
         if (!word) item.fail("the name of a model or the path of a .graph file");
         r.model = *word;
       },
       [](const Recipe& r) { return quoted(r.model); }},
      {"seed", "of initial weights, order, augmentation and split",
       [](Recipe& r, const Item& item) { r.seed = static_cast<std::uint64_t>(item.whole(0, INT64_MAX)); },
       [](const Recipe& r) { return std::to_string(r.seed); }},
  };
  return keys;
}

StageSettings parse_stage(const toml::table& table, const std::string& file) {
  StageSettings stage;
  for (const auto& [name, node] : table) {
    set_key(stage_keys(), stage, "", std::string(name.str()), node, file, name.source());
  }
  return stage;
}

}  // namespace

double StageSettings::rate_of(const std::string& group) const {
  const auto found = group_lr.find(group);
  return found == group_lr.end() ? lr : found->second;
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
      auto known = recipe_keys();
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

std::string to_toml(const Recipe& recipe, bool commented) {
  std::string text;
  const auto line = [&](const std::string& name, const std::string& value, const std::string& comment) {
    text += fmt::format("{} = {}", name, value);
    if (commented && !comment.empty()) text += fmt::format("  # {}", comment);
    text += "\n";
  };
  if (commented) text += "# A dermatome recipe: settings of the run, then one [[stage]] after the other.\n";
  for (const auto& key : recipe_keys()) line(key.name, key.print(recipe), key.comment);
  for (const auto& stage : recipe.stages) {
    text += "\n[[stage]]\n";
    for (const auto& key : stage_keys()) line(key.name, key.print(stage), key.comment);
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
    if (!groups.empty() && std::all_of(groups.begin(), groups.end(), [&](const std::string& group) {
          return std::find(stage.frozen.begin(), stage.frozen.end(), group) != stage.frozen.end();
        })) {
      fail_usage("a stage freezes every parameter group, so nothing would be trained");
    }
  }
}

}  // namespace dermatome::training

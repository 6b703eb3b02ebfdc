// The recipe's schema: every key with what it takes, its explanation, and how it is set and printed. Reading a file,
// assignments on the command line, printing, docs/config.md and completion all go by it.
#pragma once

#include <toml++/toml.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/suggest.h"
#include "tools/training/recipe.h"

namespace dermatome::training {

// What a key takes, for errors and for the reference.
struct ValueKind {
  std::string type;                  // "a whole number"
  std::string range;                 // "1 to 8192"; empty where every value of the type will do
  std::vector<std::string> choices;  // the words, where there are but these
  std::string text() const;          // "a whole number from 1 to 8192"
};

// A TOML value under its key, with what an error needs to say.
struct Item {
  const toml::node& node;
  std::string key;
  std::string file;
  const ValueKind& kind;

  [[noreturn]] void fail(const std::string& but = "") const;  // "size must be a whole number from 1 to 8192"
  double number(double low, double high) const;
  std::int64_t whole(std::int64_t low, std::int64_t high) const;
  std::string word() const;  // one of the kind's choices
  bool truth() const;
  std::vector<std::string> words() const;
};

template <typename Target>
struct Key {
  std::string name;
  ValueKind kind;
  std::string explanation;  // one line
  std::function<void(Target&, const Item&)> set;
  std::function<std::string(const Target&)> print;  // as TOML
};

const std::vector<Key<Recipe>>& recipe_keys();
const std::vector<Key<StageSettings>>& stage_keys();
const std::vector<Key<data::AugmentationSettings>>& augmentation_keys();

template <typename Target>
const Key<Target>* find_key(const std::vector<Key<Target>>& keys, std::string_view name) {
  for (const auto& key : keys) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

template <typename Target>
std::vector<std::string> names_of(const std::vector<Key<Target>>& keys) {
  std::vector<std::string> names;
  for (const auto& key : keys) names.push_back(key.name);
  return names;
}

// "recipe.toml:3: ", or nothing for an assignment on the command line.
std::string place(const std::string& file, const toml::source_region& source);

// Throws UsageError for a key that does not exist, with the nearest one. `prefix` stands in front of names in errors.
template <typename Target>
void set_key(const std::vector<Key<Target>>& keys, Target& target, const std::string& prefix, const std::string& name,
             const toml::node& node, const std::string& file, const toml::source_region& source) {
  const Key<Target>* key = find_key(keys, name);
  if (key == nullptr) {
    fail_usage("{}there is no setting '{}{}'{}", place(file, source), prefix, name, did_you_mean(name, names_of(keys)));
  }
  key->set(target, {node, prefix + name, file, key->kind});
}

inline constexpr const char* kOtherGroups = "*";  // in a table by group: those that it does not name

std::string quoted(const std::string& text);  // as a TOML string

}  // namespace dermatome::training

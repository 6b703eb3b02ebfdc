// Every input of the fuzzers' corpora, findings among them, once more in every run of the tests.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "tests/fuzz/targets.h"
#include "tools/training/recipe_schema.h"

namespace dermatome::fuzz {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = DERMATOME_SOURCE_DIR;

std::vector<std::byte> bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  return {bytes, bytes + text.size()};
}

// Runs the target on all files of the folders, and on their first halves.
void replay(void (*target)(std::span<const std::byte>), const std::vector<std::string>& folders, std::size_t least) {
  std::size_t inputs = 0;
  for (const auto& folder : folders) {
    for (const auto& entry : fs::directory_iterator(kRoot / folder)) {
      if (!entry.is_regular_file()) continue;
      SCOPED_TRACE(entry.path());
      const auto bytes = bytes_of(entry.path());
      EXPECT_NO_THROW(target(bytes));
      EXPECT_NO_THROW(target(std::span(bytes).first(bytes.size() / 2)));
      ++inputs;
    }
  }
  EXPECT_GE(inputs, least);
}

TEST(FuzzCorpus, Checkpoints) {
  replay(checkpoint, {"tests/fuzz/corpus/checkpoint", "tests/models/weights"}, 15);
}
TEST(FuzzCorpus, Safetensors) {
  replay(safetensors, {"tests/fuzz/corpus/safetensors", "tests/models/weights"}, 15);
}
TEST(FuzzCorpus, Graphs) {
  replay(graph, {"tests/fuzz/corpus/graph", "models"}, 5);
}
TEST(FuzzCorpus, Configs) {
  replay(config, {"tests/fuzz/corpus/config"}, 3);
}

// Of the seeds that are recipes: what they say, at all levels.
std::set<std::string> keys_of_seeds() {
  std::set<std::string> keys;
  const auto add = [&keys](const toml::table& table, const auto& self) -> void {
    for (const auto& [key, node] : table) {
      keys.emplace(key.str());
      if (const auto* inner = node.as_table()) self(*inner, self);
      if (const auto* list = node.as_array()) {
        for (const auto& entry : *list) {
          if (const auto* stage = entry.as_table()) self(*stage, self);
        }
      }
    }
  };
  for (const auto& entry : fs::directory_iterator(kRoot / "tests/fuzz/corpus/config")) {
    try {
      training::read_recipe(entry.path());
    } catch (const Error&) {
      continue;  // a seed of a mistake
    }
    add(toml::parse_file(entry.path().string()), add);
  }
  return keys;
}

// The fuzzer finds a key that no seed has only by its dictionary, and by luck.
TEST(FuzzCorpus, SeedsAndDictionaryKnowEverySettingOfARecipe) {
  std::vector<std::string> settings = training::names_of(training::recipe_keys());
  for (const auto& more :
       {training::names_of(training::stage_keys()), training::names_of(training::augmentation_keys())})
    settings.insert(settings.end(), more.begin(), more.end());
  const auto seeds = keys_of_seeds();
  const auto words = bytes_of(kRoot / "tests/fuzz/config.dict");
  const std::string_view dictionary(reinterpret_cast<const char*>(words.data()), words.size());
  for (const auto& setting : settings) {
    EXPECT_TRUE(seeds.contains(setting)) << setting << " is in no seed of tests/fuzz/corpus/config";
    EXPECT_NE(dictionary.find("\"" + setting + " = \""), std::string_view::npos) << setting;
  }
}

}  // namespace
}  // namespace dermatome::fuzz

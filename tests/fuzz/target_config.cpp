// Recipes: what is read is written as a text that reads as the same recipe.
#include <stdexcept>

#include "engine/core/error.h"
#include "tests/fuzz/targets.h"
#include "tools/training/recipe.h"

namespace dermatome::fuzz {

void config(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  training::Recipe recipe;
  try {
    recipe = training::parse_recipe(text, "fuzz.toml");
  } catch (const Error&) {  // refused
    return;
  }
  const std::string written = training::to_toml(recipe, false);
  if (training::to_toml(training::parse_recipe(written, "written.toml"), false) != written)
    throw std::logic_error("a recipe does not survive being written");
}

}  // namespace dermatome::fuzz

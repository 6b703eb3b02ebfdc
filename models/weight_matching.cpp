// Matching by name and shape.
#include "models/weight_matching.h"

#include <fmt/ranges.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "engine/core/error.h"

namespace dermatome {
namespace {

bool is_finite(const Tensor& tensor) {
  bool finite = true;  // no early exit: this loop is vectorised
  for (const float value : tensor.as<float>()) finite &= std::abs(value) <= std::numeric_limits<float>::max();
  return finite;
}

// A list of names is read by a person: long ones show their start.
std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 40;
  if (names.size() <= kMost) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + kMost, ", "), names.size() - kMost);
}

}  // namespace

WeightMatch match_weights(const WeightFile& weights, const std::vector<StateDeclaration>& states,
                          const std::string& file) {
  std::map<std::string_view, const StateDeclaration*> by_name;
  bool classifier = false;
  for (const auto& state : states) {
    by_name[state.name] = &state;
    classifier = classifier || state.name.starts_with("fc.");
  }
  WeightMatch match;
  std::set<std::string_view> found;
  for (const auto& weight : weights.weights) {
    if (!weight.left_out.empty()) continue;
    auto state = by_name.find(weight.key);
    if (state == by_name.end()) state = by_name.find(weight.name);
    if (state == by_name.end()) {
      (!classifier && weight.name.starts_with("fc.") ? match.ignored : match.unexpected).push_back(weight.key);
      continue;
    }
    const StateDeclaration& declared = *state->second;
    DERMATOME_CHECK(found.insert(declared.name).second, "{}: two weights are called {}", file, declared.name);
    if (weight.tensor.desc() != declared.desc) {
      match.mis_shaped.push_back(
          fmt::format("{}: {} instead of {}", declared.name, weight.shape, to_string(declared.desc.shape)));
      continue;
    }
    DERMATOME_CHECK(is_finite(weight.tensor), "{}: {} holds an infinity or what is no number", file, weight.key);
    match.loaded.emplace_back(declared.name, weight.tensor);
  }
  for (const auto& state : states) {
    if (!found.contains(state.name)) match.missing.push_back(state.name);
  }
  return match;
}

std::vector<std::string> describe(const WeightMatch& match, const std::string& file, const std::string& model) {
  const std::size_t states = match.loaded.size() + match.missing.size() + match.mis_shaped.size();
  std::vector<std::string> sentences{
      fmt::format("{} of {}'s {} weights and statistics are loaded from {}", match.loaded.size(), model, states, file)};
  const auto tell = [&](const std::string& what, const std::vector<std::string>& names) {
    if (!names.empty()) sentences.push_back(fmt::format("{} ({}): {}", what, names.size(), listed(names)));
  };
  tell("missing in the file, and initialised", match.missing);
  tell("of another shape in the file, and initialised", match.mis_shaped);
  tell("in the file but not in the model", match.unexpected);
  tell("in the file, for a classifier that the model does not have", match.ignored);
  return sentences;
}

}  // namespace dermatome

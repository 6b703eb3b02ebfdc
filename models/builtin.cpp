// Look-up of networks by name or path.
#include "models/builtin.h"

#include <fmt/ranges.h>

#include "engine/core/error.h"
#include "engine/core/suggest.h"

namespace dermatome {
namespace {

bool is_path(std::string_view text) {
  return text.ends_with(".graph") || text.find('/') != std::string_view::npos;
}

[[noreturn]] void fail_unknown(std::string_view name) {
  const auto names = builtin_model_names();
  const std::string near = nearest(name, names);
  fail_usage("there is no network '{}'{}; give one of {}, or the path of a .graph file", name,
             near.empty() ? "" : fmt::format("; did you mean '{}'?", near), fmt::join(names, ", "));
}

}  // namespace

std::vector<std::string> builtin_model_names() {
  std::vector<std::string> names;
  for (const auto& [name, text] : builtin_texts()) names.push_back(name);
  return names;
}

std::string_view builtin_model_text(std::string_view name) {
  const auto found = builtin_texts().find(name);
  if (found == builtin_texts().end()) fail_unknown(name);
  return found->second;
}

Model find_model(const std::string& name_or_path) {
  if (is_path(name_or_path)) return Model::load(name_or_path);
  return Model::parse(builtin_model_text(name_or_path), name_or_path + ".graph");
}

}  // namespace dermatome

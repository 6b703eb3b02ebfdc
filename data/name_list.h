// Names in an error: the first few and how many more where one sentence is enough, or a line each.
#pragma once

#include <fmt/ranges.h>

#include <algorithm>
#include <span>
#include <string>

namespace dermatome::data {

// "a, b, c" or "a, b, c and 12 more".
inline std::string first_names(std::span<const std::string> names, std::size_t limit = 5) {
  const std::size_t shown = std::min(limit, names.size());
  std::string text = fmt::format("{}", fmt::join(names.first(shown), ", "));
  if (shown < names.size()) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

// What follows a colon: " a" for one, else "\n  a\n  b", a line each; beyond `limit` of them "\n  and 12 more".
inline std::string listed(std::span<const std::string> lines, std::size_t limit = 1000) {
  if (lines.size() == 1) return " " + lines.front();
  const std::size_t shown = std::min(limit, lines.size());
  std::string text;
  for (const auto& line : lines.first(shown)) text += "\n  " + line;
  if (shown < lines.size()) text += fmt::format("\n  and {} more", lines.size() - shown);
  return text;
}

}  // namespace dermatome::data

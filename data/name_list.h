// Names in an error: the first few and how many more, so that it stays one readable sentence.
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

}  // namespace dermatome::data

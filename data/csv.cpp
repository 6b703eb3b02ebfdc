// Splitting and quoting of CSV fields.
#include "data/csv.h"

namespace dermatome::data {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// The quoted field that `rest` starts with; leaves in `rest` what follows the closing quote.
std::string take_quoted(std::string_view& rest) {
  std::string field;
  std::size_t at = 1;
  for (; at < rest.size(); ++at) {
    if (rest[at] != '"') {
      field += rest[at];
    } else if (at + 1 < rest.size() && rest[at + 1] == '"') {
      field += '"';
      ++at;
    } else {
      ++at;
      break;
    }
  }
  rest.remove_prefix(at);
  return field;
}

}  // namespace

std::vector<std::string> split_csv_line(std::string_view line) {
  std::vector<std::string> fields;
  std::string_view rest = line;
  while (true) {
    const std::size_t start = rest.find_first_not_of(kBlank);
    std::string field;
    if (start != std::string_view::npos && rest[start] == '"') {
      rest.remove_prefix(start);
      field = take_quoted(rest);
    }
    const std::size_t comma = rest.find(',');
    field += trimmed(rest.substr(0, comma));
    fields.push_back(std::move(field));
    if (comma == std::string_view::npos) return fields;
    rest.remove_prefix(comma + 1);
  }
}

std::string csv_field(std::string_view text) {
  if (text == trimmed(text) && text.find_first_of(",\"") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace dermatome::data

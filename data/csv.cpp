// Splitting and quoting of CSV fields.
#include "data/csv.h"

#include <algorithm>

#include "data/files.h"

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

std::vector<std::string> read_lines(const std::filesystem::path& path) {
  const auto bytes = read_file(path);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  while (!lines.empty() && trimmed(lines.back()).empty()) lines.pop_back();
  return lines;
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

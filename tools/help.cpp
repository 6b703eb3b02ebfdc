// Laying out help.
#include "tools/help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "tools/option_value.h"

namespace dermatome {
namespace {

constexpr std::size_t kIndent = 2;
constexpr std::size_t kWidestName = 26;

std::size_t line_width() {
  winsize window{};
  if (::isatty(STDOUT_FILENO) == 0 || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0) return 80;
  return std::clamp<std::size_t>(window.ws_col, 60, 110);
}

// Words of `text` in lines of `width`, the first of which begins at column `column` and the others at `indent`.
std::string wrapped(const std::string& text, std::size_t column, std::size_t indent, std::size_t width) {
  std::istringstream words(text);
  std::string result;
  for (std::string word; words >> word;) {
    const bool first = result.empty();
    if (!first && column + 1 + word.size() > width) {
      result += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (!first) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
  }
  return result;
}

using Rows = std::vector<std::pair<std::string, std::string>>;

// Names in one column, explanations in the next; a name too long for its column has a line of its own.
std::string table(const std::string& title, const Rows& rows, std::size_t width) {
  std::size_t name_width = 0;
  for (const auto& row : rows) {
    if (row.first.size() <= kWidestName) name_width = std::max(name_width, row.first.size());
  }
  const std::size_t column = kIndent + name_width + 2;
  std::string text = "\n" + title + "\n";
  for (const auto& [name, explanation] : rows) {
    text += std::string(kIndent, ' ') + name;
    const bool own_line = name.size() > name_width;
    if (own_line) text += "\n";
    text += std::string(own_line ? column : column - kIndent - name.size(), ' ');
    text += wrapped(explanation, column, column, width) + "\n";
  }
  return text;
}

Rows rows_of(const std::vector<const CLI::Option*>& options) {
  Rows rows;
  for (const auto* option : options) rows.emplace_back(names_of(*option), explanation_of(*option));
  return rows;
}

std::string commands_table(const CLI::App& command, std::size_t width) {
  Rows rows;
  for (const auto* sub : commands_of(command)) rows.emplace_back(sub->get_name(), sub->get_description());
  return rows.empty() ? "" : table("Commands", rows, width);
}

std::string options_tables(const CLI::App& command, std::size_t width) {
  std::string text;
  const auto positionals =
      command.get_options([](const CLI::Option* o) { return o->get_positional() && !is_hidden(*o); });
  if (!positionals.empty()) text += table("Arguments", rows_of(positionals), width);
  for (const auto& group : command.get_groups()) {
    if (group.empty()) continue;
    auto options =
        command.get_options([&](const CLI::Option* o) { return o->get_group() == group && o->nonpositional(); });
    // Help is what everybody knows already.
    std::stable_partition(options.begin(), options.end(),
                          [&](const CLI::Option* o) { return o != command.get_help_ptr(); });
    if (!options.empty()) text += table(group, rows_of(options), width);
  }
  return text;
}

std::string help_of(const CLI::App& command, std::size_t width) {
  std::string text = wrapped(command.get_description(), 0, 0, width) + "\n\n";
  text += "Usage  " + wrapped(usage_of(command), 7, 9, width) + "\n";
  text += commands_table(command, width) + options_tables(command, width);
  if (!command.get_footer().empty()) text += "\n" + command.get_footer() + "\n";
  return text;
}

std::string help_of_all(const CLI::App& command, std::size_t width) {
  std::string text = help_of(command, width);
  for (const auto* sub : commands_of(command)) {
    text += fmt::format("\n{:-<{}}\n", path_of(*sub) + " ", width) + help_of_all(*sub, width);
  }
  return text;
}

}  // namespace

std::string names_of(const CLI::Option& option) {
  std::string text;
  if (option.get_positional()) {
    text = option.get_name(true, false);
  } else {
    for (const auto& name : option.get_snames()) text += (text.empty() ? "-" : ", -") + name;
    for (const auto& name : option.get_lnames()) text += (text.empty() ? "--" : ", --") + name;
  }
  if (!takes_value(option)) return text;
  const std::string placeholder = value_of(option).placeholder;
  if (!option.get_positional()) text += " " + placeholder;
  if (option.get_items_expected_max() > 1) text += " ...";
  return text;
}

std::string explanation_of(const CLI::Option& option) {
  std::vector<std::string> remarks;
  if (takes_value(option)) {
    const OptionValue value = value_of(option);
    if (option.get_required()) remarks.emplace_back("required");
    if (!value.choices.empty() && (option.get_positional() || value.placeholder == "WORD")) {
      remarks.push_back(fmt::format("one of {}", fmt::join(value.choices, ", ")));
    }
    if (!value.bounds.empty()) remarks.push_back(value.bounds);
    if (!option.get_default_str().empty()) remarks.push_back("default " + option.get_default_str());
  }
  const std::string& text = option.get_description();
  return remarks.empty() ? text : fmt::format("{} ({})", text, fmt::join(remarks, "; "));
}

std::string usage_of(const CLI::App& command) {
  std::string text = path_of(command);
  const auto options = command.get_options([](const CLI::Option* o) { return !is_hidden(*o); });
  bool optional = false;
  for (const auto* option : options) {
    if (option->get_positional()) continue;
    if (option->get_required()) {
      text += fmt::format(" --{} {}", option->get_lnames().front(), value_of(*option).placeholder);
    } else {
      optional = true;
    }
  }
  if (!commands_of(command).empty()) text += " COMMAND";
  if (optional) text += " [options]";
  for (const auto* option : options) {
    if (!option->get_positional()) continue;
    text += option->get_required() ? " " + names_of(*option) : " [" + names_of(*option) + "]";
  }
  return text;
}

std::string HelpFormatter::make_help(const CLI::App* command, std::string, CLI::AppFormatMode mode) const {
  const std::size_t width = line_width();
  return mode == CLI::AppFormatMode::All ? help_of_all(*command, width) : help_of(*command, width);
}

}  // namespace dermatome

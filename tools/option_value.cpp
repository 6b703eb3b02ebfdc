// Reading CLI11's description of options.
#include "tools/option_value.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

namespace dermatome {
namespace {

// By option, or by command and option where a name means something else there.
const std::map<std::string, const char*>& kinds_by_name() {
  static const std::map<std::string, const char*> kinds{
      {"--data", value_kind::kFolder},
      {"--images", value_kind::kFolder},
      {"--masks", value_kind::kFolder},
      {"--validation", value_kind::kFolder},
      {"--predictions", value_kind::kFolder},
      {"--truth", value_kind::kFolder},
      {"--run", value_kind::kFolder},
      {"run", value_kind::kFolder},
      {"--dump-tensors", value_kind::kFolder},
      {"--figures", value_kind::kFolder},
      {"--cache", value_kind::kFolder},
      {"--against", value_kind::kFolder},
      {"--fix", value_kind::kFolder},
      {"check folder", value_kind::kFolder},
      {"--out", value_kind::kFile},
      {"convert in", value_kind::kFile},
      {"convert out", value_kind::kFile},
      {"predict --out", value_kind::kFolder},
      {"--split", value_kind::kFile},
      {"--groups", value_kind::kFile},
      {"--group-column", value_kind::kColumn},
      {"--weights", value_kind::kFile},
      {"--json", value_kind::kFile},
      {"--csv", value_kind::kFile},
      {"--plot", value_kind::kFile},
      {"--trace", value_kind::kFile},
      {"images", value_kind::kImages},
      {"settings", value_kind::kSettings},
      {"--model", value_kind::kModel},
      {"model", value_kind::kModel},
      {"--frozen", value_kind::kGroup},
      {"--part", value_kind::kPart},
      {"--threshold", value_kind::kThreshold},
      {"--device", value_kind::kDevice},
      {"--type", value_kind::kType},
      {"--disable-pass", value_kind::kPass},
      {"--disable-kernel", value_kind::kImplementation},
  };
  return kinds;
}

const char* kind_by_name(const CLI::App& command, const CLI::Option& option) {
  const std::string name = (option.get_positional() ? "" : "--") + option.get_single_name();
  for (const std::string& key : {words_of(command) + " " + name, name}) {
    if (const auto found = kinds_by_name().find(key); found != kinds_by_name().end()) return found->second;
  }
  return nullptr;
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (true) {
    const auto end = text.find(at, start);
    parts.push_back(text.substr(start, end - start));
    if (end == std::string::npos) return parts;
    start = end + 1;
  }
}

// CLI::Range says "INT in [1 - 16384]".
std::string bounds_of(const std::string& description) {
  if (description == "POSITIVE") return "above 0";
  if (description == "NONNEGATIVE") return "at least 0";
  const auto open = description.find(" in [");
  if (open == std::string::npos) return "";
  const auto ends = description.substr(open + 5, description.size() - open - 6);
  const auto dash = ends.find(" - ");
  return ends.substr(0, dash) + " to " + ends.substr(dash + 3);
}

std::string placeholder_of(const OptionValue& value) {
  if (!value.choices.empty()) {
    const std::string all = fmt::format("{}", fmt::join(value.choices, "|"));
    return all.size() <= 24 ? all : "WORD";
  }
  if (value.kind == "INT" || value.kind == "UINT") return "N";
  if (value.kind == "FLOAT") return "NUMBER";
  return value.kind;
}

}  // namespace

void name_value_kinds(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const char* kind = kind_by_name(app, *option);
    if (kind != nullptr && value_of(*option).kind == "TEXT") option->type_name(kind);
  }
  for (CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) name_value_kinds(*sub);
}

// The type name and the validators' descriptions, with colons between them: "TEXT:{train,infer}".
OptionValue value_of(const CLI::Option& option) {
  OptionValue value;
  const auto parts = split(option.get_type_name(), ':');
  value.kind = parts[0];
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string& part = parts[i];
    if (part.starts_with('{') && part.ends_with('}')) {
      value.choices = split(part.substr(1, part.size() - 2), ',');
    } else if (value.bounds.empty()) {
      value.bounds = bounds_of(part);
    }
  }
  value.placeholder = placeholder_of(value);
  return value;
}

bool takes_value(const CLI::Option& option) {
  return option.get_items_expected_max() > 0;
}

bool is_hidden(const CLI::Option& option) {
  return option.get_group().empty();
}
bool is_hidden(const CLI::App& command) {
  return command.get_group().empty();
}

std::string path_of(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? command.get_name() : path_of(*parent) + " " + command.get_name();
}

std::string words_of(const CLI::App& command) {
  const std::string path = path_of(command);
  const auto blank = path.find(' ');
  return blank == std::string::npos ? path : path.substr(blank + 1);
}

std::string domain_of(const CLI::Option& option) {
  const OptionValue value = value_of(option);
  if (!value.choices.empty())
    return fmt::format("{}", fmt::join(value.choices, value.choices.size() == 2 ? " or " : ", "));
  const bool whole = value.kind == "INT" || value.kind == "UINT";
  if (!whole && value.kind != "FLOAT") return value.placeholder;
  const std::string type = whole ? "a whole number" : "a number";
  if (value.bounds.empty()) return type;
  return type + (value.bounds.find(" to ") == std::string::npos ? " " : " from ") + value.bounds;
}

std::vector<const CLI::App*> commands_of(const CLI::App& command) {
  return command.get_subcommands([](const CLI::App* sub) { return !sub->get_name().empty() && !is_hidden(*sub); });
}

}  // namespace dermatome

// dermatome: the command line. Exit codes: 0 ok, 1 run time, 2 usage, 130 and 143 after SIGINT and SIGTERM.
#include <fmt/ranges.h>

#include <cctype>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/suggest.h"
#include "tools/command.h"
#include "tools/completion.h"
#include "tools/help.h"
#include "tools/option_value.h"
#include "tools/version.h"

namespace {

using namespace dermatome;

std::vector<std::string> names_of_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// The innermost subcommand on the command line.
const CLI::App& active_command(const CLI::App& app) {
  const auto commands = app.get_subcommands();
  return commands.empty() ? app : active_command(*commands.front());
}

std::vector<std::string> names_of_commands(const CLI::App& command) {
  std::vector<std::string> names;
  for (const auto* sub : commands_of(command)) names.push_back(sub->get_name());
  return names;
}

// One sentence for a word that CLI11 did not expect, with the nearest name for a misspelt one.
std::string explain_extra(const CLI::App& command, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  const bool root = command.get_parent() == nullptr;
  if (word.starts_with("-")) {
    const std::string near = nearest(name, names_of_options(command));
    return fmt::format("{} no option {}{}", root ? "there is" : words_of(command) + " has", name,
                       near.empty() ? fmt::format("; `{} --help` lists them", path_of(command))
                                    : fmt::format("; did you mean {}?", near));
  }
  const auto names = names_of_commands(command);
  if (names.empty()) return fmt::format("{} takes no further '{}'", words_of(command), word);
  const std::string near = nearest(name, names);
  return fmt::format("there is no command '{}'{}", root ? word : words_of(command) + " " + word,
                     near.empty()
                         ? fmt::format("; there {} {}", names.size() == 1 ? "is" : "are", fmt::join(names, ", "))
                         : fmt::format("; did you mean '{}'?", near));
}

// The option whose name stands first in CLI11's message.
const CLI::Option* option_in(const CLI::App& command, const std::string& message) {
  for (const auto* option : command.get_options()) {
    const std::string name = option->get_name();
    const auto at = message.find(name);
    if (at != std::string::npos &&
        (at + name.size() == message.size() || message[at + name.size()] == ':' || message[at + name.size()] == ' ')) {
      return option;
    }
  }
  return nullptr;
}

// One sentence for a value that is missing or not what the option takes; empty for any other error.
std::string explain_value(const CLI::App& command, const CLI::ParseError& error) {
  const bool missing = dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr;
  const bool wrong = dynamic_cast<const CLI::ValidationError*>(&error) != nullptr ||
                     dynamic_cast<const CLI::ConversionError*>(&error) != nullptr;
  const CLI::Option* option = missing || wrong ? option_in(command, error.what()) : nullptr;
  if (option == nullptr) return "";
  if (missing && option->results().empty())
    return fmt::format("{} needs a value: {}", option->get_name(), domain_of(*option));
  if (missing) return fmt::format("{} takes one value and got more", option->get_name());
  return fmt::format("{} must be {}, not '{}'", option->get_name(), domain_of(*option),
                     fmt::join(option->results(), " "));
}

// "report needs RUN, the folder of the run": what stands without a name on the command line.
std::string explain_positional(const CLI::App& command, const CLI::Option& option) {
  std::string name = option.get_name();
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return fmt::format("{} needs {} ({})", words_of(command), name, option.get_description());
}

// One sentence for what CLI11 refuses.
std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = active_command(app);
  const auto extras = app.remaining(true);
  const bool unexpected = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  const bool missing = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
  // A misspelt option is often why a required one is missing.
  if ((unexpected || missing) && !extras.empty()) return explain_extra(command, extras.front());
  if (missing && command.get_require_subcommand_min() > 0 && command.get_subcommands().empty()) {
    const auto names = names_of_commands(command);
    return fmt::format("{} what? There {} {}", words_of(command), names.size() == 1 ? "is" : "are",
                       fmt::join(names, ", "));
  }
  if (const std::string text = explain_value(command, error); !text.empty()) return text;
  std::string text = error.what();
  if (const auto at = text.find(" excludes "); at != std::string::npos) {
    return fmt::format("{} and {} cannot be given together", text.substr(0, at), text.substr(at + 10));
  }
  if (missing) {
    const CLI::Option* option = option_in(command, text);
    if (option != nullptr && option->get_positional()) text = explain_positional(command, *option);
    text += fmt::format("; `{} --help` explains", path_of(command));
  }
  return text;
}

int report_error(const std::string& text, int code) {
  fmt::print(stderr, "dermatome: {}\n", text);
  return code;
}

constexpr const char* kFirstSteps =
    "First steps\n"
    "  dermatome train --data my_isic --run runs/first\n"
    "  dermatome evaluate --run runs/first --data my_isic --split runs/first/split.csv\n"
    "  dermatome predict --run runs/first holiday --out masks --overlay\n"
    "\n"
    "`dermatome COMMAND --help` explains one command. Not a medical device.";

void describe(CLI::App& app) {
  app.set_version_flag("--version", fmt::format("dermatome {}", kVersion), "Print the version");
  app.set_help_flag("-h,--help", "Print this help");
  app.formatter(std::make_shared<HelpFormatter>());
  app.require_subcommand(0, 1);
  add_train(app);
  add_evaluate(app);
  add_predict(app);
  add_submit(app);
  add_report(app);
  add_check(app);
  add_prepare(app);
  add_convert(app);
  add_export(app);
  add_config(app);
  add_schedule(app);
  add_lr_find(app);
  add_graph(app);
  add_profile(app);
  add_bench(app);
  add_info(app);
  add_completion(app);
  add_manual(app);
  name_value_kinds(app);
  // Behind the commands, which would inherit these.
  app.set_help_all_flag("--help-all", "Print the help of every command");
  app.footer(kFirstSteps);
}

int run(int argc, char** argv) {
  CLI::App app("Dermatome trains, evaluates and runs U-Net34, which outlines skin lesions on photographs.",
               "dermatome");
  describe(app);
  if (argc > 1 && std::string_view(argv[1]) == kCompleteCommand) {
    for (const auto& line : completions(app, {argv + 2, argv + argc})) fmt::print("{}\n", line);
    return 0;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << active_command(app).help();
    return 0;
  } catch (const CLI::CallForAllHelp&) {
    std::cout << app.help("", CLI::AppFormatMode::All);
    return 0;
  } catch (const CLI::CallForVersion&) {
    fmt::print("dermatome {}\n", kVersion);
    return 0;
  } catch (const CLI::ParseError& error) {
    return report_error(explain(app, error), 2);
  }
  if (app.get_subcommands().empty()) {
    std::cerr << app.help();  // a script whose command got lost must not go on
    return 2;
  }
  return exit_code();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const dermatome::UsageError& error) {
    return report_error(error.what(), 2);
  } catch (const std::exception& error) {
    return report_error(error.what(), 1);
  }
}

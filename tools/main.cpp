// dermatome: the command line. Exit codes: 0 ok, 1 run time, 2 usage, 130 and 143 after SIGINT and SIGTERM.
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/suggest.h"
#include "tools/command.h"
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

// One sentence for what CLI11 refuses, with the nearest name for a misspelt one.
std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = active_command(app);
  const auto extras = app.remaining(true);
  // A misspelt option is often why a required one is missing.
  const bool required = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && !extras.empty();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr && !required) return error.what();
  const std::string word = extras.empty() ? "" : extras.front();
  const std::string name = word.substr(0, word.find('='));
  if (!word.starts_with("-")) {
    std::vector<std::string> names;
    for (const auto* sub : command.get_subcommands([](const CLI::App*) { return true; }))
      names.push_back(sub->get_name());
    return fmt::format("'{}' is not understood{}", word, did_you_mean(name, names));
  }
  const std::string near = nearest(name, names_of_options(command));
  return fmt::format("there is no option {}{}", name,
                     near.empty() ? fmt::format("; `dermatome {} --help` lists them", command.get_name())
                                  : fmt::format("; did you mean {}?", near));
}

int report_error(const std::string& text, int code) {
  fmt::print(stderr, "dermatome: {}\n", text);
  return code;
}

int run(int argc, char** argv) {
  CLI::App app("Dermatome trains, evaluates and runs U-Net34 on photographs of skin lesions. Not a medical device.",
               "dermatome");
  app.set_version_flag("--version", fmt::format("dermatome {}", kVersion));
  app.require_subcommand(0, 1);
  app.set_help_all_flag("--help-all", "Help of all subcommands");
  add_train(app);
  add_evaluate(app);
  add_predict(app);
  add_report(app);
  add_config(app);
  add_graph(app);
  add_bench(app);
  add_info(app);
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
    return report_error("which command? `dermatome --help` lists them", 2);
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

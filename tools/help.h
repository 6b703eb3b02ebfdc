// Help as a terminal shows it: usage, what each argument takes, defaults and bounds, wrapped to the window.
#pragma once

#include <CLI/CLI.hpp>

namespace dermatome {

class HelpFormatter final : public CLI::FormatterBase {
 public:
  std::string make_help(const CLI::App* command, std::string name, CLI::AppFormatMode mode) const override;
};

// One help option's explanation with what the description alone does not say: "Images a step (1 to 65536; default 8)".
std::string explanation_of(const CLI::Option& option);

// "--size N", "-h, --help", "images IMAGE ...".
std::string names_of(const CLI::Option& option);

// "dermatome train --data FOLDER --run FOLDER [options] [settings ...]".
std::string usage_of(const CLI::App& command);

}  // namespace dermatome

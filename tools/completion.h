// Completion for shells: what may stand at the end of a command line, read off the application's own description.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace dermatome {

// What the shell calls back with the words typed so far: `dermatome __complete train --da`.
inline constexpr const char* kCompleteCommand = "__complete";

// Answers for the last of `words` (which may be empty), one a line:
//   w<word>   a candidate that begins with it
//   x<end>    files with this ending, for example ".toml"
//   f         any file; d: folders only
//   n         no blank behind the candidate, there is more to write
std::vector<std::string> completions(const CLI::App& app, const std::vector<std::string>& words);

// The script for ~/.bashrc or share/bash-completion/completions.
std::string bash_completion();

}  // namespace dermatome

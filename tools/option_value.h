// What an option of the command line takes, read off its CLI11 description: help, completion and the manual page go by
// it.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace dermatome {

// What an option takes, as CLI11's type name: help says it, completion offers what belongs there.
namespace value_kind {
inline constexpr const char* kFolder = "FOLDER";
inline constexpr const char* kFile = "FILE";
inline constexpr const char* kImages = "IMAGE";      // photographs and folders of them
inline constexpr const char* kModel = "MODEL";       // a built-in network or a .graph file
inline constexpr const char* kSettings = "SETTING";  // a recipe (.toml) or key=value
inline constexpr const char* kDevice = "DEVICE";
inline constexpr const char* kType = "TYPE";
inline constexpr const char* kPass = "PASS";
inline constexpr const char* kImplementation = "KERNEL";
inline constexpr const char* kColumn = "COLUMN";  // of a CSV
inline constexpr const char* kPart = "PART";      // of a split
inline constexpr const char* kGroup = "GROUP";    // of a network's parameters
inline constexpr const char* kThreshold = "NUMBER|best";
inline constexpr const char* kOperation = "OPERATION";
}  // namespace value_kind

struct OptionValue {
  std::string kind;                  // "FOLDER", "INT", "TEXT"
  std::vector<std::string> choices;  // of CLI::IsMember
  std::string bounds;                // "1 to 16384", "above 0"
  std::string placeholder;           // "FOLDER", "train|infer", "N"
};

// Gives every option that takes some text its kind, by its name: one name means the same in every command, with few
// exceptions.
void name_value_kinds(CLI::App& app);

OptionValue value_of(const CLI::Option& option);
bool takes_value(const CLI::Option& option);
bool is_hidden(const CLI::Option& option);  // of an empty group
bool is_hidden(const CLI::App& command);

// "dermatome bench step".
std::string path_of(const CLI::App& command);

// The same without the program's name.
std::string words_of(const CLI::App& command);

// "a whole number from 1 to 16384", "train or infer", for what an option takes.
std::string domain_of(const CLI::Option& option);

// The commands right below one, without hidden ones, in the order of their definition.
std::vector<const CLI::App*> commands_of(const CLI::App& command);

}  // namespace dermatome

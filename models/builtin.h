// The networks that come with the program: the text of every models/*.graph file, by the file's name.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/model.h"

namespace dermatome {

// "unet34" -> what unet34.graph says, comments included.
const std::map<std::string, std::string, std::less<>>& builtin_texts();

std::vector<std::string> builtin_model_names();  // in alphabetical order

// Throws UsageError with the nearest name.
std::string_view builtin_model_text(std::string_view name);

// A built-in name, or the path of a .graph file: whatever ends in ".graph" or contains a slash. Throws UsageError for
// an unknown name (with the nearest one) and for errors in the text, Error for a file that cannot be read.
Model find_model(const std::string& name_or_path);

}  // namespace dermatome

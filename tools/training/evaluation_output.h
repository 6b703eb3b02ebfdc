// An evaluation as people and programs read it: a table for the terminal, JSON, and CSV with a row a photograph.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

#include "tools/training/evaluation.h"

namespace dermatome::training {

// Means with their 95 % intervals, the quarters by lesion size, and the photographs with the lowest Jaccard.
std::string summary_text(const Evaluation& evaluation, std::uint64_t seed);

// Means by name, "interval_95", "images", "lesion_size_quarters" (absent for few photographs) and "per_image".
nlohmann::json to_json(const Evaluation& evaluation, std::uint64_t seed);

// A header and a row a photograph.
std::string to_csv(const Evaluation& evaluation);

// Sentences about what was read differently from how it is stored, or makes the scores say less than they seem to.
std::vector<std::string> notes_on(const Evaluation& evaluation);

}  // namespace dermatome::training

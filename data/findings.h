// What an inspection found, in sentences, sorted by how much it matters.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/inspection.h"

namespace dermatome::data {

enum class Level : std::uint8_t {
  error,        // training and evaluation stop at it, or leave the photograph out
  warning,      // they go on, but somebody should look
  information,  // nothing to do
};

std::string_view name_of(Level level);

struct Finding {
  Level level = Level::information;
  std::string_view kind;           // the same words for every finding of its kind, in the plural
  std::vector<std::string> files;  // paths it concerns
  std::string text;                // one sentence
};

// Errors: photographs and masks that cannot be read, masks that are none or do not fit, photographs without exactly one
// mask. Warnings: masks that training repairs, empty and full masks, masks without a photograph, photographs of the
// same contents. Information: near-duplicates (splits keep them together), photographs that are turned by EXIF.
std::vector<Finding> findings_of(const Pairing& pairing, const std::vector<InspectedPair>& pairs);

// Photographs of one set that are in the other as well, same contents or nearly: warnings. `others` are the paths of
// `other_photographs`. Those that cannot be read are warnings too.
std::vector<Finding> leaks_between(const std::vector<Sample>& samples, const std::vector<InspectedPair>& pairs,
                                   const std::vector<std::filesystem::path>& others,
                                   const std::vector<InspectedPhotograph>& other_photographs);

}  // namespace dermatome::data

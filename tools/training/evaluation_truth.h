// Reading true masks for scoring: values as stored, checked, and counted where they are not simply black and white.
#pragma once

#include <filesystem>

#include "data/codec.h"
#include "tools/training/evaluation.h"

namespace dermatome::training {

// Adds to `report`. Throws Error naming the file where it is unreadable, has more than two classes, or has values but
// none above 128, which would be a mask without lesion by mistake.
data::Image read_truth(const std::filesystem::path& file, TruthReport& report);

}  // namespace dermatome::training

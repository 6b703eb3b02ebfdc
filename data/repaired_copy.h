// The copy of a data set that `dermatome check --fix` makes: usable pairs only, their masks repaired.
#pragma once

#include <filesystem>
#include <vector>

#include "data/inspection.h"

namespace dermatome::data {

struct RepairedCopy {
  std::size_t copied = 0;    // pairs, repaired ones included
  std::size_t repaired = 0;  // masks
  std::size_t left_out = 0;  // photographs
};

// Copies the usable pairs into out/images and out/masks: photographs byte for byte, masks byte for byte or, where they
// needed a repair, as PNG of 0 and 255 at the photograph's stored size. Of photographs whose contents and masks are the
// same the first is taken. out/repairs.csv lists what differs from the original. Throws Error as check_copy_folder
// does, and where the copy does not fit on the disk.
RepairedCopy copy_repaired(const Pairing& pairing, const std::vector<InspectedPair>& pairs,
                           const std::filesystem::path& out, const Progress& progress);

// Throws Error where `out` exists and is not empty, or lies inside one of the folders.
void check_copy_folder(const Pairing& pairing, const std::filesystem::path& out);

}  // namespace dermatome::data

// Photographs and masks of no lesion in particular, for steps whose time is measured.
#pragma once

#include <cstdint>
#include <vector>

namespace dermatome::measurement {

struct MadeUpPhotographs {
  std::vector<std::uint8_t> images;  // count x size x size x 3, noise
  std::vector<std::uint8_t> masks;   // count x size x size, the upper quarter 255 and the rest 0
};
MadeUpPhotographs made_up_photographs(std::size_t count, int size, std::uint64_t seed);

}  // namespace dermatome::measurement

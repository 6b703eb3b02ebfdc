// Connected regions of a mask, and what is done with them to a predicted one: a lesion is one region without holes.
#pragma once

#include <cstdint>

#include "data/image/image.h"

namespace dermatome::data {

// All take masks of one channel whose values are 0 and 255, and throw Error for others. Lesion pixels that touch at a
// side or a corner are of one region; background pixels only where they touch at a side, so that a closed outline of
// lesion pixels encloses a hole whichever way it runs.

// Background that is not connected to the mask's border becomes lesion.
void fill_holes(Image& mask);

// Regions of fewer lesion pixels become background.
void remove_small_regions(Image& mask, std::int64_t least_pixels);

// All regions but the largest become background; of equally large ones the first from the top stays.
void keep_largest_region(Image& mask);

}  // namespace dermatome::data

// What the values of a mask file mean: two classes, perhaps with soft edges, or something that is no lesion mask.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/image/image.h"

namespace dermatome::data {

struct MaskValues {
  bool only_black_and_white = true;  // nothing but 0 and 255
  int distinct = 0;                  // different values
  // Ascending: values that hold at least 1 % of the pixels each, and values between black and white that fill a square
  // of 9 pixels a side, which no edge does.
  std::vector<std::uint8_t> dominant;
};

// Where a mask has both values of 1 to 16 and of 239 to 254, it was compressed or resampled: there they count as 0 and
// 255 before the dominant values are looked for.
MaskValues inspect_mask(const Image& mask);

// Throws Error naming the file where cutting at 127 cannot give a lesion mask: more than two dominant values (several
// classes), or values but none above 127 (class numbers).
void check_two_classes(const MaskValues& values, const Image& mask, std::string_view name);

}  // namespace dermatome::data

// Checks of true masks.
#include "tools/training/evaluation_truth.h"

#include <algorithm>

#include "data/mask_values.h"
#include "engine/core/error.h"

namespace dermatome::training {

data::Image read_truth(const std::filesystem::path& file, TruthReport& report) {
  data::Mask mask = data::read_mask(file);
  const data::MaskValues values = data::inspect_mask(mask.grey);
  data::check_two_classes(values, mask.grey, file.string());
  const int largest = *std::max_element(mask.grey.pixels.begin(), mask.grey.pixels.end());
  DERMATOME_CHECK(largest == 0 || largest > kLesionAbove,
                  "{} is no lesion mask: its largest value is {}, and a lesion is what lies above {}", file.string(),
                  largest, kLesionAbove);
  if (mask.was_zero_one) ++report.zero_one;
  if (mask.was_lossy) ++report.lossy;
  if (!values.only_black_and_white && !mask.was_lossy) ++report.grey_edged;
  return std::move(mask.grey);
}

}  // namespace dermatome::training

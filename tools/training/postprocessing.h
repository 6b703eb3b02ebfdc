// What is done to a predicted mask because lesions are one region without holes, which a network does not know.
#pragma once

#include <string>

#include "tools/training/predictor_grid.h"

namespace dermatome::training {

// In this order: filling first, so that areas are those of whole regions.
struct PostProcessing {
  bool fill_holes = false;
  double min_area = 0;  // regions of a smaller share of the photograph are removed
  bool keep_largest = false;

  bool any() const { return fill_holes || min_area > 0 || keep_largest; }
  std::string text() const;  // "fill-holes, min-area 0.001, keep-largest"
};

// Changes the mask and the figures that follow from it; lesion_probability only where the probabilities were kept.
void apply(const PostProcessing& postprocessing, Prediction& prediction);

}  // namespace dermatome::training

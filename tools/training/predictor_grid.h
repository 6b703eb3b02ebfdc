// From the network's square map of probabilities to the pixel grid of the photograph's file, where masks live.
#pragma once

#include <span>
#include <vector>

#include "data/image/image.h"
#include "data/stored_grid.h"

namespace dermatome::training {

// Pixels from left to right - 1 and from top to bottom - 1; all 0 where nothing is lesion.
struct Box {
  int left = 0, top = 0, right = 0, bottom = 0;

  int width() const { return right - left; }
  int height() const { return bottom - top; }
  friend bool operator==(const Box&, const Box&) = default;
};

// A photograph's prediction in the pixel grid of its file.
struct Prediction {
  int width = 0;
  int height = 0;
  data::Image mask;                // one channel, 0 or 255: probability of lesion > threshold
  std::vector<float> probability;  // [height, width]; empty unless it was asked for
  std::int64_t lesion_pixels = 0;
  Box box;                        // around all lesion pixels
  double mean_probability = 0;    // over all pixels
  double lesion_probability = 0;  // over the lesion's pixels; 0 where there are none

  double area_share() const { return static_cast<double>(lesion_pixels) / static_cast<double>(mask.pixels.size()); }
  bool is_empty() const { return lesion_pixels == 0; }
};

// Probabilities [height, width] of the whole upright photograph, rows from the top.
struct ProbabilityMap {
  int width = 0;
  int height = 0;
  std::vector<float> values;
};

// The mean of the maps, which may have different sizes, in the grid of the file: each is grown bilinearly with
// half-pixel centres and the edge repeated, as PyTorch's interpolate(align_corners=False), and turned as the file is
// stored. Rows are spread over the threads of OpenMP; the numbers do not depend on how many there are. Throws Error
// where the sizes do not fit.
Prediction to_stored_grid(std::span<const ProbabilityMap> maps, const data::StoredGrid& grid, double threshold,
                          bool keep_probability = false);

// Of one square map [size, size].
Prediction to_stored_grid(std::span<const float> map, int size, const data::StoredGrid& grid, double threshold,
                          bool keep_probability = false);

}  // namespace dermatome::training

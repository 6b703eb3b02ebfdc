// Scores of one mask against the true one, counted in whole pixels as the ISIC challenge's own scorer does.
#pragma once

#include <array>
#include <cstdint>

#include "data/image/image.h"
#include "tools/training/networks.h"

namespace dermatome::training {

using Scores = std::array<double, kMetrics>;

// A stored value above this is lesion, in predicted and in true masks.
inline constexpr int kLesionAbove = 128;

struct PixelCounts {
  std::int64_t true_positive = 0;
  std::int64_t false_positive = 0;
  std::int64_t false_negative = 0;
  std::int64_t true_negative = 0;

  std::int64_t all() const { return true_positive + false_positive + false_negative + true_negative; }
  double truth_share() const { return share(true_positive + false_negative); }
  double predicted_share() const { return share(true_positive + false_positive); }

  friend bool operator==(const PixelCounts&, const PixelCounts&) = default;

 private:
  double share(std::int64_t part) const { return static_cast<double>(part) / static_cast<double>(all()); }
};

// Throws Error where one of the two is no mask or their sizes differ.
PixelCounts count_pixels(const data::Image& predicted, const data::Image& truth);

// Codella et al. 2019 (arXiv 1902.03368), section 3.1: Jaccard TP / (TP + FP + FN), and the same where it is at least
// 0.65, else 0; Dice 2 TP / (2 TP + FP + FN); accuracy (TP + TN) / all; sensitivity TP / (TP + FN); specificity
// TN / (TN + FP). A quotient of 0 by 0 is 1.
Scores scores_of(const PixelCounts& counts);

}  // namespace dermatome::training

// Scores of one predicted mask against the truth, as the ISIC challenge defines them: recipe "Metrics" in the docs, and
// Codella et al. 2019 (arXiv 1902.03368), section 3.1.
#pragma once

#include <cstdint>

#include "kernels/launch/host_device.h"

namespace dermatome::segmentation_metrics {

// Of confusion_counts.
enum Attribute { kThreshold, kTruthThreshold };

constexpr int kCounts = 4;  // true positives, false positives, false negatives, true negatives
constexpr int kScores = 6;  // Jaccard, thresholded Jaccard, Dice, accuracy, sensitivity, specificity

inline namespace DERMATOME_ISA {

// One where there is nothing to be right or wrong about.
DERMATOME_HD double fraction(double part, double whole) {
  return whole == 0 ? 1.0 : part / whole;
}

DERMATOME_HD void score(const std::int32_t* counts, float* scores) {
  const double tp = counts[0], fp = counts[1], fn = counts[2], tn = counts[3];
  const double jaccard = fraction(tp, tp + fp + fn);
  scores[0] = static_cast<float>(jaccard);
  scores[1] = static_cast<float>(jaccard >= 0.65 ? jaccard : 0.0);
  scores[2] = static_cast<float>(fraction(2 * tp, 2 * tp + fp + fn));
  scores[3] = static_cast<float>(fraction(tp + tn, tp + fp + fn + tn));
  scores[4] = static_cast<float>(fraction(tp, tp + fn));
  scores[5] = static_cast<float>(fraction(tn, tn + fp));
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::segmentation_metrics

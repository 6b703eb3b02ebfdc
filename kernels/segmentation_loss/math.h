// Losses of segmentation, the arithmetic. Terms of a pixel (cross-entropy, focal) are added over pixels; terms of a
// region (soft Jaccard, its logarithm, soft Dice) come from three sums over p = sigmoid(logit) and the target t of a
// region, which is an image or the whole batch: intersection = sum p t, predicted = sum p, truth = sum t.
#pragma once

#include <math.h>

#include "kernels/bce_with_logits/math.h"

namespace dermatome::segmentation_loss {
inline namespace DERMATOME_ISA {

// Attributes in the order of the signature: the terms' weights, their parameters, what a region is.
enum { kBce, kFocal, kJaccard, kLogJaccard, kDice, kGamma, kAlpha, kEpsilon, kOver };
enum { kOverImage, kOverBatch };

template <typename T>
struct PixelTerms {
  T bce, focal, gamma, alpha;
};
struct RegionTerms {
  double jaccard, log_jaccard, dice, epsilon;
  bool over_batch;
  DERMATOME_HD bool any() const { return jaccard > 0 || log_jaccard > 0 || dice > 0; }
};

DERMATOME_HD float power(float x, float exponent) {
  return ::powf(x, exponent);
}
DERMATOME_HD double power(double x, double exponent) {
  return ::pow(x, exponent);
}

template <typename T>
struct Pixel {
  T loss;        // of the pixel's terms
  T slope;       // d loss / d x
  T p;           // sigmoid(x)
  T slope_of_p;  // d p / d x = p (1 - p)
};

// Focal loss (Lin et al. 2017): balance * miss^gamma * cross-entropy, where miss = 1 - p for a lesion's pixel and p for
// another, balance = alpha or 1 - alpha; linear in t between the two, as torchvision has it.
template <typename T>
DERMATOME_HD Pixel<T> pixel_of(const PixelTerms<T>& terms, T x, T t) {
  const T e = launch::exponential(x < T(0) ? x : -x);
  const T larger = T(1) / (T(1) + e);  // of p and 1 - p, neither of which is a difference
  const T smaller = e * larger;
  const T p = x < T(0) ? smaller : larger;
  const T q = x < T(0) ? larger : smaller;
  const T cross_entropy = (x > T(0) ? x : T(0)) - x * t + launch::log_of_one_plus(e);
  Pixel<T> pixel{terms.bce * cross_entropy, terms.bce * (p - t), p, p * q};
  if (terms.focal > T(0)) {
    const T miss = p * (T(1) - t) + q * t;
    const T attention = terms.gamma == T(2) ? miss * miss : power(miss, terms.gamma);
    const T ratio = miss > T(0) ? p * q / miss : T(0);  // before it meets miss^gamma: gamma may be below 1
    const T balance = terms.focal * (terms.alpha * t + (T(1) - terms.alpha) * (T(1) - t));
    pixel.loss += balance * attention * cross_entropy;
    pixel.slope += balance * attention * (p - t + terms.gamma * (T(1) - t - t) * ratio * cross_entropy);
  }
  return pixel;
}

struct RegionSums {
  double intersection, predicted, truth;
};
struct RegionLoss {
  double loss;
  double by_intersection, by_predicted;  // derivatives
};

// J = (intersection + epsilon) / (predicted + truth - intersection + epsilon), D = (2 intersection + epsilon) /
// (predicted + truth + epsilon): 1 - J, -log J and 1 - D, weighted.
DERMATOME_HD RegionLoss region_loss(const RegionTerms& terms, const RegionSums& sums) {
  const double apart = sums.predicted + sums.truth - 2 * sums.intersection;
  const double common = sums.intersection + terms.epsilon;
  const double all = common + apart;  // the union
  const double both = 2 * sums.intersection + terms.epsilon + apart;
  const double jaccard = common / all;
  const double dice = 1 - apart / both;
  RegionLoss result;
  result.loss = terms.jaccard * apart / all + terms.log_jaccard * launch::log_of_one_plus(apart / common) +
                terms.dice * apart / both;
  result.by_intersection =
      -terms.jaccard * (1 + jaccard) / all - terms.log_jaccard * (1 / common + 1 / all) - terms.dice * 2 / both;
  result.by_predicted = terms.jaccard * jaccard / all + terms.log_jaccard / all + terms.dice * dice / both;
  return result;
}

// What pass two needs of a pixel's region: d loss / d p = by_predicted + by_intersection * t.
template <typename T>
struct RegionSlope {
  T by_intersection, by_predicted;
};

}  // namespace DERMATOME_ISA
}  // namespace dermatome::segmentation_loss

// Counting pixels and dividing counts.
#include "tools/training/evaluation_scores.h"

#include "engine/core/error.h"

namespace dermatome::training {
namespace {

constexpr double kJaccardThreshold = 0.65;

double fraction(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 1.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

PixelCounts count_pixels(const data::Image& predicted, const data::Image& truth) {
  data::check_mask(predicted);
  data::check_mask(truth);
  DERMATOME_CHECK(predicted.width == truth.width && predicted.height == truth.height,
                  "the predicted mask is {}x{} pixels but the true one {}x{}", predicted.width, predicted.height,
                  truth.width, truth.height);
  std::int64_t lesion = 0;
  std::int64_t marked = 0;
  std::int64_t both = 0;
  for (int y = 0; y < truth.height; ++y) {
    const std::uint8_t* p = predicted.row(y);
    const std::uint8_t* t = truth.row(y);
    std::uint32_t row_lesion = 0;
    std::uint32_t row_marked = 0;
    std::uint32_t row_both = 0;
    for (int x = 0; x < truth.width; ++x) {
      const std::uint32_t is_lesion = t[x] > kLesionAbove ? 1 : 0;
      const std::uint32_t is_marked = p[x] > kLesionAbove ? 1 : 0;
      row_lesion += is_lesion;
      row_marked += is_marked;
      row_both += is_lesion & is_marked;
    }
    lesion += row_lesion;
    marked += row_marked;
    both += row_both;
  }
  const auto all = static_cast<std::int64_t>(truth.pixels.size());
  return {.true_positive = both,
          .false_positive = marked - both,
          .false_negative = lesion - both,
          .true_negative = all - lesion - marked + both};
}

Scores scores_of(const PixelCounts& c) {
  const std::int64_t wrong = c.false_positive + c.false_negative;
  Scores scores{};
  scores[kJaccard] = fraction(c.true_positive, c.true_positive + wrong);
  scores[kThresholdedJaccard] = scores[kJaccard] >= kJaccardThreshold ? scores[kJaccard] : 0.0;
  scores[kDice] = fraction(2 * c.true_positive, 2 * c.true_positive + wrong);
  scores[kAccuracy] = fraction(c.true_positive + c.true_negative, c.all());
  scores[kSensitivity] = fraction(c.true_positive, c.true_positive + c.false_negative);
  scores[kSpecificity] = fraction(c.true_negative, c.true_negative + c.false_positive);
  return scores;
}

}  // namespace dermatome::training

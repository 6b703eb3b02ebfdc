// Resampling and sorting of scores.
#include "tools/training/evaluation_statistics.h"

#include <algorithm>
#include <numeric>

#include "engine/core/error.h"
#include "engine/core/philox.h"

namespace dermatome::training {
namespace {

SizeGroup group_of(std::span<const SizedScores> images, std::uint64_t seed) {
  SizeGroup group{.images = images.size(),
                  .smallest_share = images.front().truth_share,
                  .largest_share = images.back().truth_share};
  std::vector<double> jaccard;
  for (const auto& image : images) {
    for (std::size_t m = 0; m < kMetrics; ++m) {
      group.means[m] += image.scores[m] / static_cast<double>(images.size());
    }
    jaccard.push_back(image.scores[kJaccard]);
  }
  group.jaccard = bootstrap_interval(jaccard, seed);
  return group;
}

}  // namespace

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Interval bootstrap_interval(const std::vector<double>& values, std::uint64_t seed) {
  constexpr std::size_t kResamples = 2000;
  constexpr std::size_t kTail = kResamples / 40;
  DERMATOME_CHECK(!values.empty(), "an interval needs at least one value");
  Philox random(seed, 0xdd00000000000000ull);  // a stream of its own
  std::vector<double> means;
  for (std::size_t r = 0; r < kResamples; ++r) {
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      sum += values[random.below(static_cast<std::uint32_t>(values.size()))];
    }
    means.push_back(sum / static_cast<double>(values.size()));
  }
  std::sort(means.begin(), means.end());
  return {means[kTail], means[kResamples - 1 - kTail]};
}

std::vector<SizeGroup> size_quarters(std::vector<SizedScores> images, std::uint64_t seed) {
  std::erase_if(images, [](const SizedScores& image) { return image.truth_share == 0; });
  std::vector<SizeGroup> quarters;
  if (images.size() < kQuartersFrom) return quarters;
  std::stable_sort(images.begin(), images.end(),
                   [](const SizedScores& a, const SizedScores& b) { return a.truth_share < b.truth_share; });
  for (std::size_t q = 0; q < 4; ++q) {
    const std::size_t first = q * images.size() / 4;
    const std::size_t end = (q + 1) * images.size() / 4;
    quarters.push_back(group_of(std::span(images).subspan(first, end - first), seed));
  }
  return quarters;
}

}  // namespace dermatome::training

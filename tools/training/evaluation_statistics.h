// What is said about a set of scored photographs: means, bootstrap intervals, and how scores go with lesion size.
#pragma once

#include <cstdint>
#include <vector>

#include "tools/training/evaluation_scores.h"

namespace dermatome::training {

struct Interval {
  double low = 0, high = 0;
};

// The ends of the 95 % percentile bootstrap interval of the mean (Efron 1979): 2000 resamples of Philox(seed), of whose
// sorted means the 51st and the 1950th are taken. Throws Error for no values.
Interval bootstrap_interval(const std::vector<double>& values, std::uint64_t seed);

double mean_of(const std::vector<double>& values);

// A group of photographs with lesions of about one size.
struct SizeGroup {
  std::size_t images = 0;
  double smallest_share = 0, largest_share = 0;  // of the true lesion in the photograph
  Scores means{};
  Interval jaccard;
};

struct SizedScores {
  double truth_share = 0;
  Scores scores{};
};

inline constexpr std::size_t kQuartersFrom =
    8;  // fewer photographs with a lesion than this have no quarters worth a mean

// The photographs with a lesion, sorted by its share of the photograph (equal ones keep their order) and cut into four
// groups: of n, group q has those from q n / 4 to (q + 1) n / 4, rounded down. Empty for fewer than kQuartersFrom.
std::vector<SizeGroup> size_quarters(std::vector<SizedScores> images, std::uint64_t seed);

}  // namespace dermatome::training

// The ways of predicting that an evaluation lays beside each other: every member alone, all together, and what is added
// at test time, one thing a row.
#pragma once

#include <nlohmann/json.hpp>

#include <span>
#include <string>
#include <vector>

#include "tools/training/evaluation.h"

namespace dermatome::training {

struct Ladder {
  std::vector<Variant> variants;  // the last is what was asked for
  std::size_t plain = 0;          // the row that the others are compared with: all members, nothing added
};

// `names`: of the members. Each member is cut at the threshold that it was trained with, and so are all together where
// they agree. Added are, in this order, only where asked for and each on top of those before it: test-time
// augmentation, another threshold, filled holes, the smallest area, the largest region. So one member with nothing
// added is one row.
Ladder ladder_of(const Ensemble& ensemble, std::span<const std::string> names, const PostProcessing& postprocessing);

// A mean and its 95 % bootstrap interval.
struct Estimate {
  double mean = 0;
  Interval interval;
};
Estimate estimate(const Evaluation& evaluation, Metric metric, std::uint64_t seed);

// Of the photographs' differences in the Jaccard index, `other` - `plain`: both of the same photographs.
Estimate difference(const Evaluation& plain, const Evaluation& other, std::uint64_t seed);

// A table with a row a variant: means, and the difference of the Jaccard index to the plain row, with the 95 %
// bootstrap interval of the photographs' differences. Empty for one variant.
std::string to_text(const Ladder& ladder, std::span<const Evaluation> evaluations, std::uint64_t seed);

// The same as an array of objects.
nlohmann::json to_json(const Ladder& ladder, std::span<const Evaluation> evaluations, std::uint64_t seed);

}  // namespace dermatome::training

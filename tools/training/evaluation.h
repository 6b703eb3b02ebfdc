// Scoring a data set with a Predictor.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "data/split.h"
#include "tools/training/predictor.h"

namespace dermatome::training {

// The samples that the split file (columns image,part) puts into `part`. Throws Error when there are none.
std::vector<data::Sample> samples_of_part(const std::vector<data::Sample>& samples, const std::filesystem::path& split,
                                          data::Part part);

// The ends of the 95 % percentile bootstrap interval of the mean over images (Efron 1979), 2000 resamples of
// Philox(seed). Throws Error for no values.
struct Interval {
  double low = 0, high = 0;
};
Interval bootstrap_interval(const std::vector<double>& values, std::uint64_t seed);

// One metric of all images, in their order.
std::vector<double> values_of(const Evaluation& evaluation, Metric metric);

// What a caller may want to keep of each photograph: called in the order of the samples.
using OnPrediction =
    std::function<void(const ScoredImage&, const data::Photograph&, const data::Image& truth, const Prediction&)>;

// Masks keep their grey values but for those of 0 and 1, which are scaled. Photographs that cannot be read and masks
// that cannot be read or have another size are named with the cause: with skip_bad in the result, otherwise in an
// Error, after all were tried; and in an Error where none is left.
Evaluation evaluate(Predictor& predictor, const std::vector<data::Sample>& samples,
                    const std::function<void(std::size_t done, std::size_t total)>& progress,
                    const OnPrediction& on_prediction = {}, bool skip_bad = false);

}  // namespace dermatome::training

// Scoring a data set, a few photographs at a time.
#include "tools/training/evaluation.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/philox.h"

namespace dermatome::training {
namespace {

constexpr std::size_t kAtOnce = 8;

double share_above(const data::Image& mask, int value) {
  const auto count = std::count_if(mask.pixels.begin(), mask.pixels.end(), [&](std::uint8_t p) { return p > value; });
  return static_cast<double>(count) / static_cast<double>(mask.pixels.size());
}

}  // namespace

std::vector<data::Sample> samples_of_part(const std::vector<data::Sample>& samples, const std::filesystem::path& split,
                                          data::Part part) {
  std::vector<std::string> ids;
  for (const auto& sample : samples) ids.push_back(sample.id);
  const auto parts = data::read_split_csv(split, ids);
  std::vector<data::Sample> chosen;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (parts[i] == part) chosen.push_back(samples[i]);
  }
  DERMATOME_CHECK(!chosen.empty(), "{} puts no photograph into the part '{}'", split.string(), data::name_of(part));
  return chosen;
}

Interval bootstrap_interval(const std::vector<double>& values, std::uint64_t seed) {
  constexpr std::size_t kResamples = 2000;
  constexpr std::size_t kTail = kResamples / 40;
  DERMATOME_CHECK(!values.empty(), "an interval needs at least one value");
  Philox random(seed, 0xdd00000000000000ull);  // a stream of its own
  std::vector<double> means;
  for (std::size_t r = 0; r < kResamples; ++r) {
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i)
      sum += values[random.below(static_cast<std::uint32_t>(values.size()))];
    means.push_back(sum / static_cast<double>(values.size()));
  }
  std::sort(means.begin(), means.end());
  return {means[kTail], means[kResamples - 1 - kTail]};
}

std::vector<double> values_of(const Evaluation& evaluation, Metric metric) {
  std::vector<double> values;
  for (const auto& image : evaluation.images) values.push_back(image.scores[metric]);
  return values;
}

Evaluation evaluate(Predictor& predictor, const std::vector<data::Sample>& samples,
                    const std::function<void(std::size_t done, std::size_t total)>& progress,
                    const OnPrediction& on_prediction) {
  Evaluation evaluation;
  for (std::size_t next = 0; next < samples.size(); next += kAtOnce) {
    const std::size_t end = std::min(samples.size(), next + kAtOnce);
    std::vector<data::Photograph> photographs;
    for (std::size_t i = next; i < end; ++i) photographs.push_back(data::read_rgb(samples[i].image));
    const auto predictions = predictor.predict(photographs);
    for (std::size_t i = next; i < end; ++i) {
      const auto& prediction = predictions[i - next];
      const data::Image truth = data::read_mask(samples[i].mask).grey;
      DERMATOME_CHECK(truth.width == prediction.width && truth.height == prediction.height,
                      "{} is {} x {} but its photograph {} is {} x {}", samples[i].mask.string(), truth.width,
                      truth.height, samples[i].image.string(), prediction.width, prediction.height);
      evaluation.images.push_back({.id = samples[i].id,
                                   .scores = predictor.score(prediction, truth),
                                   .width = prediction.width,
                                   .height = prediction.height,
                                   .truth_share = share_above(truth, 128),
                                   .predicted_share = prediction.area_share()});
      if (on_prediction) on_prediction(evaluation.images.back(), photographs[i - next], truth, prediction);
      if (progress) progress(i + 1, samples.size());
    }
  }
  return evaluation;
}

}  // namespace dermatome::training

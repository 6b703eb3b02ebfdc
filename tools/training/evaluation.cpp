// Scoring a data set, a few photographs at a time.
#include "tools/training/evaluation.h"

#include <algorithm>

#include "data/parallel.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"

namespace dermatome::training {
namespace {

constexpr std::size_t kAtOnce = 8;

double share_above(const data::Image& mask, int value) {
  const auto count = std::count_if(mask.pixels.begin(), mask.pixels.end(), [&](std::uint8_t p) { return p > value; });
  return static_cast<double>(count) / static_cast<double>(mask.pixels.size());
}

struct Pair {
  const data::Sample& sample;
  data::Mask truth;
};

std::pair<data::Photograph, data::Mask> read_pair(const data::Sample& sample) {
  auto photograph = data::read_rgb(sample.image);
  auto truth = data::read_mask(sample.mask);
  DERMATOME_CHECK(
      truth.grey.width == photograph.stored_width && truth.grey.height == photograph.stored_height,
      "{} is {} x {} but its photograph {} is {} x {}; `dermatome check --fix` writes masks of the right size",
      sample.mask.string(), truth.grey.width, truth.grey.height, sample.image.string(), photograph.stored_width,
      photograph.stored_height);
  return {std::move(photograph), std::move(truth)};
}

void add_score(Evaluation& evaluation, const Scores& scores, const Pair& pair, const Prediction& prediction) {
  evaluation.images.push_back({.id = pair.sample.id,
                               .scores = scores,
                               .width = prediction.width,
                               .height = prediction.height,
                               .truth_share = share_above(pair.truth.grey, 128),
                               .predicted_share = prediction.area_share()});
  evaluation.repairs.count({.zero_one = pair.truth.was_zero_one, .colour = pair.truth.was_colour}, {});
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
                    const OnPrediction& on_prediction, bool skip_bad) {
  Evaluation evaluation;
  for (std::size_t next = 0; next < samples.size(); next += kAtOnce) {
    const std::size_t end = std::min(samples.size(), next + kAtOnce);
    std::vector<Pair> pairs;
    std::vector<data::Photograph> photographs;
    for (std::size_t i = next; i < end; ++i) {
      try {
        auto [photograph, truth] = read_pair(samples[i]);
        photographs.push_back(std::move(photograph));
        pairs.push_back({samples[i], std::move(truth)});
      } catch (const std::exception& error) {
        evaluation.left_out.push_back(error.what());
      }
    }
    const auto predictions = predictor.predict(photographs);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const data::Image& truth = pairs[i].truth.grey;
      add_score(evaluation, predictor.score(predictions[i], truth), pairs[i], predictions[i]);
      if (on_prediction) on_prediction(evaluation.images.back(), photographs[i], truth, predictions[i]);
      if (progress) progress(evaluation.images.size() + evaluation.left_out.size(), samples.size());
    }
  }
  if (!skip_bad)
    data::check_failures(evaluation.left_out, samples.size(),
                         ": repair or remove them, or leave them out with --skip-bad");
  DERMATOME_CHECK(!evaluation.images.empty(), "none of {} photographs can be scored; the first: {}", samples.size(),
                  evaluation.left_out.empty() ? "there are none" : evaluation.left_out.front());
  return evaluation;
}

}  // namespace dermatome::training

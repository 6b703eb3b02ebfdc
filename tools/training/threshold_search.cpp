// One pass over a photograph's pixels serves all thresholds: pixels are counted by the highest threshold that they
// pass.
#include "tools/training/threshold_search.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <mutex>

#include "data/files.h"
#include "engine/core/error.h"
#include "tools/training/evaluation_scores.h"
#include "tools/training/evaluation_truth.h"

namespace dermatome::training {
namespace {

namespace fs = std::filesystem;

// How many thresholds a probability is above: they are passed from the lowest on.
std::size_t passed(float p) {
  auto count = static_cast<std::size_t>(std::clamp(std::ceil(p * 50.0f) - 1, 0.0f, float{kThresholds}));
  while (count < kThresholds && p > static_cast<float>(threshold_at(count))) ++count;
  while (count > 0 && !(p > static_cast<float>(threshold_at(count - 1)))) --count;
  return count;
}

nlohmann::json key_json(const ThresholdKey& key) {
  return {{"checkpoint", key.checkpoint},
          {"steps_done", key.steps_done},
          {"size", key.size},
          {"test_time_augmentation", name_of(key.augmentation)}};
}

nlohmann::json read_entries(const fs::path& run) {
  try {
    const auto bytes = data::read_file(run / kThresholdFile);
    auto json = nlohmann::json::parse(bytes, nullptr, false);
    return json.is_array() ? json : nlohmann::json::array();
  } catch (const Error&) {
    return nlohmann::json::array();
  }
}

}  // namespace

double threshold_at(std::size_t index) {
  return static_cast<double>(index + 1) / 50;
}

ThresholdCurve curve_of(std::span<const float> probability, const data::Image& truth) {
  DERMATOME_CHECK(probability.size() == truth.pixels.size(), "{} probabilities are not those of a mask of {}x{}",
                  probability.size(), truth.width, truth.height);
  // Pixels by the number of thresholds that they pass; of the lesion and of all.
  std::array<std::int64_t, kThresholds + 1> lesion{};
  std::array<std::int64_t, kThresholds + 1> all{};
  for (std::size_t i = 0; i < probability.size(); ++i) {
    const std::size_t count = passed(probability[i]);
    ++all[count];
    if (truth.pixels[i] > kLesionAbove) ++lesion[count];
  }
  std::int64_t lesion_pixels = 0;
  for (const auto count : lesion) lesion_pixels += count;
  ThresholdCurve curve{.photographs = 1};
  std::int64_t predicted = 0;
  std::int64_t both = 0;
  for (std::size_t t = kThresholds; t-- > 0;) {
    predicted += all[t + 1];
    both += lesion[t + 1];
    curve.jaccard[t] = scores_of(
        {.true_positive = both, .false_positive = predicted - both, .false_negative = lesion_pixels - both})[kJaccard];
  }
  return curve;
}

ThresholdCurve pooled(std::span<const ThresholdCurve> curves) {
  ThresholdCurve sum;
  for (const auto& curve : curves) {
    sum.photographs += curve.photographs;
    for (std::size_t t = 0; t < kThresholds; ++t)
      sum.jaccard[t] += curve.jaccard[t] * static_cast<double>(curve.photographs);
  }
  for (double& jaccard : sum.jaccard) jaccard /= static_cast<double>(std::max<std::size_t>(1, sum.photographs));
  return sum;
}

BestThreshold best_of(const ThresholdCurve& curve) {
  constexpr std::size_t kHalf = kThresholds / 2;
  static_assert(kHalf == 24, "the threshold 0.5");
  std::size_t best = kHalf;
  for (std::size_t distance = 1; distance <= kHalf; ++distance) {
    for (const std::size_t t : {kHalf - distance, kHalf + distance}) {
      if (curve.jaccard[t] > curve.jaccard[best]) best = t;
    }
  }
  return {.threshold = threshold_at(best), .jaccard = curve.jaccard[best], .jaccard_at_half = curve.jaccard[kHalf]};
}

ThresholdCurve find_curve(Ensemble& ensemble, const std::vector<data::Sample>& samples, const OnProgress& progress) {
  std::vector<fs::path> files;
  for (const auto& sample : samples) files.push_back(sample.image);
  std::vector<ThresholdCurve> curves(samples.size());
  const auto score = [&](std::size_t i, const data::StoredGrid&, Prediction& prediction) {
    TruthReport ignored;
    const data::Image truth = read_truth(samples[i].mask, ignored);
    DERMATOME_CHECK(truth.width == prediction.width && truth.height == prediction.height,
                    "{} is {}x{} pixels but its photograph {} is {}x{}", samples[i].mask.string(), truth.width,
                    truth.height, files[i].string(), prediction.width, prediction.height);
    curves[i] = curve_of(prediction.probability, truth);
  };
  const auto failures = predict_files(ensemble, files, {.keep_probabilities = true}, score, progress);
  if (!failures.empty()) fail("{}", describe(failures, files.size(), "photographs cannot be scored"));
  return pooled(curves);
}

std::optional<ThresholdCurve> stored_curve(const fs::path& run, const ThresholdKey& key) {
  for (const auto& entry : read_entries(run)) {
    if (!entry.is_object() || entry.value("of", nlohmann::json()) != key_json(key)) continue;
    try {
      return ThresholdCurve{.photographs = entry.at("photographs"), .jaccard = entry.at("jaccard")};
    } catch (const nlohmann::json::exception&) {
      return std::nullopt;  // damaged: it is found again
    }
  }
  return std::nullopt;
}

void store_curve(const fs::path& run, const ThresholdKey& key, const ThresholdCurve& curve) {
  nlohmann::json entries = nlohmann::json::array();
  for (auto& entry : read_entries(run)) {
    const auto of = entry.is_object() ? entry.value("of", nlohmann::json()) : nlohmann::json();
    // What an older state of the checkpoint was given is of no use any more.
    if (of.is_object() && of != key_json(key) && of.value("steps_done", nlohmann::json()) == key.steps_done)
      entries.push_back(entry);
  }
  const BestThreshold best = best_of(curve);
  entries.push_back({{"of", key_json(key)},
                     {"photographs", curve.photographs},
                     {"best", best.threshold},
                     {"thresholds", nlohmann::json::array()},
                     {"jaccard", curve.jaccard}});
  for (std::size_t t = 0; t < kThresholds; ++t) entries.back()["thresholds"].push_back(threshold_at(t));
  data::write_file(run / kThresholdFile, std::string_view(entries.dump(1) + "\n"));
}

}  // namespace dermatome::training

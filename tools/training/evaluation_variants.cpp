// Rows of the table of variants.
#include "tools/training/evaluation_variants.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "engine/core/error.h"

namespace dermatome::training {
namespace {

double trained_threshold(const Predictor& member) {
  return member.info().preprocessing.threshold;
}

// Absent where members differ.
std::optional<double> trained_threshold(const Ensemble& ensemble) {
  const double threshold = trained_threshold(ensemble.member(0));
  for (std::size_t m = 1; m < ensemble.count(); ++m) {
    if (trained_threshold(ensemble.member(m)) != threshold) return std::nullopt;
  }
  return threshold;
}

// Each with one thing only, in the order in which they are applied.
std::vector<PostProcessing> steps_of(const PostProcessing& postprocessing) {
  std::vector<PostProcessing> steps;
  if (postprocessing.fill_holes) steps.push_back({.fill_holes = true});
  if (postprocessing.min_area > 0) steps.push_back({.min_area = postprocessing.min_area});
  if (postprocessing.keep_largest) steps.push_back({.keep_largest = true});
  return steps;
}

}  // namespace

Ladder ladder_of(const Ensemble& ensemble, std::span<const std::string> names, const PostProcessing& postprocessing) {
  DERMATOME_CHECK(names.size() == ensemble.count(), "{} members have {} names", ensemble.count(), names.size());
  const Variant asked = variant_of(ensemble);
  Ladder ladder;
  if (ensemble.count() > 1) {
    for (std::size_t m = 0; m < ensemble.count(); ++m) {
      ladder.variants.push_back({.name = names[m], .members = {m}, .threshold = trained_threshold(ensemble.member(m))});
    }
  }
  ladder.plain = ladder.variants.size();
  Variant step = asked;
  step.augmented = false;
  step.threshold = trained_threshold(ensemble).value_or(asked.threshold);
  ladder.variants.push_back(step);
  const auto add = [&](std::string name) {
    step.name = "+ " + std::move(name);
    ladder.variants.push_back(step);
  };
  if (asked.augmented) {
    step.augmented = true;
    add(std::string(name_of(ensemble.augmentation())));
  }
  if (asked.threshold != step.threshold) {
    step.threshold = asked.threshold;
    add(fmt::format("threshold {}", asked.threshold));
  }
  for (const PostProcessing& one : steps_of(postprocessing)) {
    step.postprocessing.fill_holes |= one.fill_holes;
    step.postprocessing.min_area = std::max(step.postprocessing.min_area, one.min_area);
    step.postprocessing.keep_largest |= one.keep_largest;
    add(one.text());
  }
  return ladder;
}

Estimate estimate(const Evaluation& evaluation, Metric metric, std::uint64_t seed) {
  const auto values = values_of(evaluation, metric);
  return {.mean = mean_of(values), .interval = bootstrap_interval(values, seed)};
}

Estimate difference(const Evaluation& plain, const Evaluation& other, std::uint64_t seed) {
  const auto before = values_of(plain, kJaccard);
  auto values = values_of(other, kJaccard);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] -= before[i];
  return {.mean = mean_of(values), .interval = bootstrap_interval(values, seed)};
}

std::string to_text(const Ladder& ladder, std::span<const Evaluation> evaluations, std::uint64_t seed) {
  if (ladder.variants.size() < 2) return {};
  const std::string& plain = ladder.variants[ladder.plain].name;
  std::size_t width = 0;
  for (const auto& variant : ladder.variants) width = std::max(width, variant.name.size());
  std::string text =
      fmt::format("{:<{}}  {:>7}   {:<18} {:>11} {:>7} {:>11} {:>11}   jaccard - {} (95 % interval)\n", "", width,
                  "jaccard", "(95 % interval)", "thresholded", "dice", "sensitivity", "specificity", plain);
  for (std::size_t v = 0; v < evaluations.size(); ++v) {
    const Scores means = evaluations[v].means();
    const auto interval = bootstrap_interval(values_of(evaluations[v], kJaccard), seed);
    text += fmt::format("{:<{}}  {:>7.4f}   ({:.4f} to {:.4f}) {:>11.4f} {:>7.4f} {:>11.4f} {:>11.4f}",
                        ladder.variants[v].name, width, means[kJaccard], interval.low, interval.high,
                        means[kThresholdedJaccard], means[kDice], means[kSensitivity], means[kSpecificity]);
    if (v != ladder.plain) {
      const auto [mean, ends] = difference(evaluations[ladder.plain], evaluations[v], seed);
      text += fmt::format("   {:+.4f} ({:+.4f} to {:+.4f})", mean, ends.low, ends.high);
    }
    text += "\n";
  }
  return text;
}

nlohmann::json to_json(const Ladder& ladder, std::span<const Evaluation> evaluations, std::uint64_t seed) {
  nlohmann::json rows = nlohmann::json::array();
  for (std::size_t v = 0; v < evaluations.size(); ++v) {
    const Variant& variant = ladder.variants[v];
    const auto interval = bootstrap_interval(values_of(evaluations[v], kJaccard), seed);
    const auto [mean, ends] = difference(evaluations[ladder.plain], evaluations[v], seed);
    nlohmann::json row{{"name", variant.name},
                       {"members", variant.members.size()},
                       {"test_time_augmentation", variant.augmented},
                       {"threshold", variant.threshold},
                       {"postprocessing", variant.postprocessing.text()},
                       {"jaccard_interval_95", {interval.low, interval.high}},
                       {"jaccard_difference", mean},
                       {"jaccard_difference_interval_95", {ends.low, ends.high}}};
    const Scores means = evaluations[v].means();
    for (std::size_t m = 0; m < kMetrics; ++m) row[kMetricNames[m]] = means[m];
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace dermatome::training

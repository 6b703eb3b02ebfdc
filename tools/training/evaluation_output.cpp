// Formatting of scores.
#include "tools/training/evaluation_output.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/csv.h"

namespace dermatome::training {
namespace {

constexpr std::size_t kLowestNamed = 5;
constexpr const char* kQuarterNames[] = {"smallest quarter", "second", "third", "largest quarter"};

std::string title_of(Metric metric) {
  std::string name = kMetricNames[metric];
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

double percent(double share) {
  return 100 * share;
}

std::string quarters_text(const Evaluation& evaluation, std::uint64_t seed) {
  const auto quarters = size_quarters(evaluation, seed);
  if (quarters.empty()) return {};
  std::string text = fmt::format("\n{:<17} {:>12} {:>18} {:>9}   {:<18} {:>11} {:>7}\n", "by lesion size",
                                 "photographs", "lesion, % of it", "jaccard", "(95 % interval)", "thresholded", "dice");
  for (std::size_t q = 0; q < quarters.size(); ++q) {
    const SizeGroup& group = quarters[q];
    text += fmt::format("{:<17} {:>12} {:>18} {:>9.4f}   ({:.4f} to {:.4f}) {:>11.4f} {:>7.4f}\n", kQuarterNames[q],
                        group.images,
                        fmt::format("{:.2f} to {:.2f}", percent(group.smallest_share), percent(group.largest_share)),
                        group.means[kJaccard], group.jaccard.low, group.jaccard.high, group.means[kThresholdedJaccard],
                        group.means[kDice]);
  }
  std::size_t without = 0;
  double jaccard = 0;
  for (const auto& image : evaluation.images) {
    if (image.counts.truth_share() > 0) continue;
    ++without;
    jaccard += image.scores[kJaccard];
  }
  if (without > 0) {
    text += fmt::format("{:<17} {:>12} {:>18} {:>9.4f}\n", "no lesion", without, "0",
                        jaccard / static_cast<double>(without));
  }
  return text;
}

std::string lowest_text(const Evaluation& evaluation) {
  std::vector<const ScoredImage*> ranked;
  for (const auto& image : evaluation.images) ranked.push_back(&image);
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto* a, const auto* b) { return a->scores[kJaccard] < b->scores[kJaccard]; });
  if (ranked.size() <= kLowestNamed) return {};
  ranked.resize(kLowestNamed);
  std::string text = "\nlowest jaccard: ";
  for (const auto* image : ranked) {
    text += fmt::format("{}{} {:.4f}", image == ranked.front() ? "" : ", ", image->id, image->scores[kJaccard]);
  }
  return text + "\n";
}

nlohmann::json quarters_json(const Evaluation& evaluation, std::uint64_t seed) {
  nlohmann::json quarters = nlohmann::json::array();
  for (const auto& group : size_quarters(evaluation, seed)) {
    nlohmann::json row{{"images", group.images},
                       {"truth_share", {group.smallest_share, group.largest_share}},
                       {"jaccard_interval_95", {group.jaccard.low, group.jaccard.high}}};
    for (std::size_t m = 0; m < kMetrics; ++m) row[kMetricNames[m]] = group.means[m];
    quarters.push_back(std::move(row));
  }
  return quarters;
}

nlohmann::json image_json(const ScoredImage& image) {
  nlohmann::json row{{"id", image.id},
                     {"width", image.width},
                     {"height", image.height},
                     {"truth_share", image.counts.truth_share()},
                     {"predicted_share", image.counts.predicted_share()},
                     {"true_positive", image.counts.true_positive},
                     {"false_positive", image.counts.false_positive},
                     {"false_negative", image.counts.false_negative},
                     {"true_negative", image.counts.true_negative},
                     {"trained_on", image.trained_on}};
  for (std::size_t m = 0; m < kMetrics; ++m) row[kMetricNames[m]] = image.scores[m];
  return row;
}

}  // namespace

std::string summary_text(const Evaluation& evaluation, std::uint64_t seed) {
  std::string text;
  const Scores means = evaluation.means();
  for (std::size_t m = 0; m < kMetrics; ++m) {
    const auto metric = static_cast<Metric>(m);
    const auto [low, high] = bootstrap_interval(values_of(evaluation, metric), seed);
    text += fmt::format("{:<20} {:.4f}   ({:.4f} to {:.4f})\n", title_of(metric), means[m], low, high);
  }
  return text + quarters_text(evaluation, seed) + lowest_text(evaluation);
}

nlohmann::json to_json(const Evaluation& evaluation, std::uint64_t seed) {
  nlohmann::json json;
  const Scores means = evaluation.means();
  for (std::size_t m = 0; m < kMetrics; ++m) {
    const auto [low, high] = bootstrap_interval(values_of(evaluation, static_cast<Metric>(m)), seed);
    json[kMetricNames[m]] = means[m];
    json["interval_95"][kMetricNames[m]] = {low, high};
  }
  json["images"] = evaluation.images.size();
  json["trained_on"] = std::count_if(evaluation.images.begin(), evaluation.images.end(),
                                     [](const ScoredImage& image) { return image.trained_on; });
  auto quarters = quarters_json(evaluation, seed);
  if (!quarters.empty()) json["lesion_size_quarters"] = std::move(quarters);
  json["notes"] = notes_on(evaluation);
  json["per_image"] = nlohmann::json::array();
  for (const auto& image : evaluation.images) json["per_image"].push_back(image_json(image));
  return json;
}

std::string to_csv(const Evaluation& evaluation) {
  std::string text = "image";
  for (const char* name : kMetricNames) text += fmt::format(",{}", name);
  text +=
      ",width,height,truth_share,predicted_share,true_positive,false_positive,false_negative,true_negative,trained_"
      "on\n";
  for (const auto& image : evaluation.images) {
    text += data::csv_field(image.id);
    for (const double score : image.scores) text += fmt::format(",{:.9g}", score);
    const PixelCounts& c = image.counts;
    text += fmt::format(",{},{},{:.9g},{:.9g},{},{},{},{},{}\n", image.width, image.height, c.truth_share(),
                        c.predicted_share(), c.true_positive, c.false_positive, c.false_negative, c.true_negative,
                        image.trained_on ? 1 : 0);
  }
  return text;
}

std::vector<std::string> notes_on(const Evaluation& evaluation) {
  std::vector<std::string> notes;
  const std::size_t total = evaluation.images.size();
  const auto add = [&](std::size_t count, const char* what) {
    if (count > 0) notes.push_back(fmt::format("{} of {} true masks {}", count, total, what));
  };
  add(evaluation.truth.zero_one, "hold 0 and 1; they were read as 0 and 255");
  add(evaluation.truth.grey_edged, "have grey values; what lies above 128 counts as lesion, as in the official scorer");
  add(evaluation.truth.lossy, "are JPEGs, whose edges are not exact; what lies above 128 counts as lesion");
  const auto seen = std::count_if(evaluation.images.begin(), evaluation.images.end(),
                                  [](const ScoredImage& image) { return image.trained_on; });
  if (seen > 0) {
    notes.push_back(
        fmt::format("warning: {} of these {} photographs have names that {} trained on, so the scores say "
                    "little about new photographs",
                    seen, total, evaluation.members > 1 ? "members of the ensemble were" : "the run was"));
  }
  return notes;
}

}  // namespace dermatome::training

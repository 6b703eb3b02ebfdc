// Scoring a data set, and which of its photographs a run has seen before.
#include "tools/training/evaluation.h"

#include <algorithm>

#include "data/csv.h"
#include "data/files.h"
#include "data/parallel.h"
#include "engine/core/error.h"
#include "tools/training/evaluation_truth.h"

namespace dermatome::training {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAdvice = ": repair or remove them, or leave them out with --skip-bad";

void check_size(const data::Sample& sample) {
  const auto image = data::probe(sample.image);
  const auto mask = data::probe(sample.mask);
  DERMATOME_CHECK(
      mask.width == image.width && mask.height == image.height,
      "{} is {}x{} pixels but its photograph {} is {}x{}; `dermatome check --fix` writes masks of the right "
      "size",
      sample.mask.string(), mask.width, mask.height, sample.image.string(), image.width, image.height);
}

// A cause by sample, empty for those whose headers fit: so a mask of another size is told before an hour of predicting.
std::vector<std::string> mismatches(const std::vector<data::Sample>& samples) {
  return data::for_each_file(samples.size(), {}, [&](std::size_t i) { check_size(samples[i]); });
}

void refuse(const std::vector<std::string>& causes) {
  std::vector<FileFailure> failures;
  for (std::size_t i = 0; i < causes.size(); ++i) {
    if (!causes[i].empty()) failures.push_back({i, causes[i]});
  }
  if (failures.empty()) return;
  fail("{}{}", describe(failures, causes.size(), "photographs cannot be scored"), failures.size() > 1 ? kAdvice : "");
}

// A mask that a cache refuses may still be a truth: then the photograph is read by itself.
data::PreparedPhotograph photograph_of(const data::Sample& sample, int size, data::Cache& cache,
                                       data::MemoryBudget& budget) {
  try {
    return cache.pair(sample, size, budget).photograph;
  } catch (const Error&) {
    return data::read_prepared(sample.image, size);
  }
}

}  // namespace

TruthReport& TruthReport::operator+=(const TruthReport& other) {
  zero_one += other.zero_one;
  grey_edged += other.grey_edged;
  lossy += other.lossy;
  return *this;
}

Scores Evaluation::means() const {
  Scores means{};
  for (const auto& image : images) {
    for (std::size_t m = 0; m < means.size(); ++m) means[m] += image.scores[m] / static_cast<double>(images.size());
  }
  return means;
}

std::vector<data::Sample> samples_of_part(const std::vector<data::Sample>& samples, const fs::path& split,
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

std::set<std::string> training_names(const fs::path& split) {
  std::set<std::string> names;
  std::error_code ignored;
  if (!fs::is_regular_file(split, ignored)) return names;
  const auto lines = data::read_lines(split);
  if (lines.empty()) return names;
  const auto header = data::split_csv_line(lines.front());
  const auto image = std::find(header.begin(), header.end(), "image") - header.begin();
  const auto part = std::find(header.begin(), header.end(), "part") - header.begin();
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto fields = data::split_csv_line(lines[i]);
    const auto count = static_cast<std::ptrdiff_t>(fields.size());
    if (image >= count || part >= count || fields[static_cast<std::size_t>(part)] != data::name_of(data::Part::train))
      continue;
    names.insert(fields[static_cast<std::size_t>(image)]);
  }
  return names;
}

std::size_t mark_trained_on(Evaluation& evaluation, const std::set<std::string>& names) {
  std::size_t count = 0;
  for (auto& image : evaluation.images) {
    image.trained_on = names.contains(image.id);
    count += image.trained_on ? 1u : 0u;
  }
  return count;
}

std::vector<double> values_of(const Evaluation& evaluation, Metric metric) {
  std::vector<double> values;
  for (const auto& image : evaluation.images) values.push_back(image.scores[metric]);
  return values;
}

std::vector<SizeGroup> size_quarters(const Evaluation& evaluation, std::uint64_t seed) {
  std::vector<SizedScores> images;
  for (const auto& image : evaluation.images) images.push_back({image.counts.truth_share(), image.scores});
  return size_quarters(std::move(images), seed);
}

Evaluation evaluate(Predictor& predictor, const std::vector<data::Sample>& samples, const OnProgress& progress,
                    const OnScored& on_scored, bool skip_bad, data::Cache* cache) {
  DERMATOME_CHECK(!samples.empty(), "there are no photographs to score");
  std::vector<std::string> causes = mismatches(samples);
  if (!skip_bad) refuse(causes);
  std::vector<fs::path> files;
  std::vector<std::size_t> indices;  // of the samples behind the files
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!causes[i].empty()) continue;
    files.push_back(samples[i].image);
    indices.push_back(i);
  }
  std::vector<ScoredImage> scored(samples.size());
  std::vector<TruthReport> reports(samples.size());
  const auto score = [&](std::size_t file, const data::StoredGrid& grid, const Prediction& prediction) {
    const std::size_t i = indices[file];
    const data::Image truth = read_truth(samples[i].mask, reports[i]);
    const PixelCounts counts = count_pixels(prediction.mask, truth);
    scored[i] = {.id = samples[i].id,
                 .scores = scores_of(counts),
                 .counts = counts,
                 .width = truth.width,
                 .height = truth.height};
    if (on_scored) on_scored(i, scored[i], grid, truth, prediction);
  };
  data::MemoryBudget budget(data::kDecodingBudget);
  FilesOptions options;
  if (cache != nullptr) {
    options.read = [&](std::size_t file) {
      return photograph_of(samples[indices[file]], predictor.size(), *cache, budget);
    };
  }
  for (auto& failure : predict_files(predictor, files, options, score, progress)) {
    causes[indices[failure.index]] = std::move(failure.cause);
  }
  if (!skip_bad) refuse(causes);
  Evaluation evaluation;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!causes[i].empty()) {
      evaluation.left_out.push_back(std::move(causes[i]));
      continue;
    }
    evaluation.images.push_back(std::move(scored[i]));
    evaluation.truth += reports[i];
  }
  DERMATOME_CHECK(!evaluation.images.empty(), "none of {} photographs can be scored; the first: {}", samples.size(),
                  evaluation.left_out.front());
  return evaluation;
}

}  // namespace dermatome::training

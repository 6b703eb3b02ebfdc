// Scoring a data set, and which of its photographs a run has seen before.
#include "tools/training/evaluation.h"

#include <algorithm>
#include <numeric>

#include "data/csv.h"
#include "data/files.h"
#include "data/parallel.h"
#include "engine/core/error.h"
#include "tools/training/evaluation_truth.h"

namespace dermatome::training {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCannotBeScored =
    "photographs cannot be scored; repair or remove them, or leave them out with --skip-bad";

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

// Where masks of another size end the work before it begins, the other files are read, so that all that is wrong is
// told at once.
void read_others(const std::vector<data::Sample>& samples, std::vector<std::string>& causes) {
  constexpr int kSmall = 64;
  if (std::all_of(causes.begin(), causes.end(), [](const auto& cause) { return cause.empty(); })) return;
  data::MemoryBudget budget(data::kDecodingBudget);
  const auto more = data::for_each_file(samples.size(), {}, [&](std::size_t i) {
    if (!causes[i].empty()) return;
    const auto bytes = data::read_file(samples[i].image);
    const auto share = budget.take(data::preparing_bytes(bytes, data::read_file(samples[i].mask), kSmall));
    data::prepare_photograph(bytes, samples[i].image.string(), kSmall);
    TruthReport ignored;
    read_truth(samples[i].mask, ignored);
  });
  for (std::size_t i = 0; i < causes.size(); ++i) causes[i] += more[i];
}

void refuse(const std::vector<std::string>& causes) {
  std::vector<FileFailure> failures;
  for (std::size_t i = 0; i < causes.size(); ++i) {
    if (!causes[i].empty()) failures.push_back({i, causes[i]});
  }
  if (!failures.empty()) fail("{}", describe(failures, causes.size(), kCannotBeScored));
}

// A mask that a cache refuses may still be a truth: then the photograph is read by itself.
data::PreparedPhotograph photograph_of(const data::Sample& sample, const Predictor& reader, data::Cache& cache,
                                       data::MemoryBudget& budget) {
  try {
    return cache.pair(sample, reader.preparation(), budget).photograph;
  } catch (const Error&) {
    return reader.read(sample.image);
  }
}

Prediction predict(const Variant& variant, std::span<const MemberMaps> members, const data::StoredGrid& grid) {
  std::vector<ProbabilityMap> maps;
  for (const std::size_t m : variant.members) maps.push_back(variant.augmented ? members[m].mean : members[m].plain);
  Prediction prediction = to_stored_grid(maps, grid, variant.threshold);
  apply(variant.postprocessing, prediction);
  return prediction;
}

// The samples whose headers fit, on their way to scores in every variant.
class Scoring {
 public:
  Scoring(std::span<const Variant> variants, const std::vector<data::Sample>& samples, std::vector<std::string> causes)
      : variants_(variants), samples_(samples), causes_(std::move(causes)), reports_(samples.size()) {
    scored_.assign(variants.size(), std::vector<ScoredImage>(samples.size()));
    for (std::size_t i = 0; i < samples.size(); ++i) {
      if (!causes_[i].empty()) continue;
      files_.push_back(samples[i].image);
      indices_.push_back(i);
    }
  }

  const std::vector<fs::path>& files() const { return files_; }
  std::size_t index_of(std::size_t file) const { return indices_[file]; }

  // On any thread.
  void score(std::size_t file, const data::StoredGrid& grid, std::span<const MemberMaps> members,
             const OnScored& on_scored) {
    const std::size_t i = indices_[file];
    const data::Image truth = read_truth(samples_[i].mask, reports_[i]);
    for (std::size_t v = 0; v < variants_.size(); ++v) {
      const Prediction prediction = predict(variants_[v], members, grid);
      const PixelCounts counts = count_pixels(prediction.mask, truth);
      ScoredImage& scored = scored_[v][i];
      scored = {.id = samples_[i].id,
                .scores = scores_of(counts),
                .counts = counts,
                .width = truth.width,
                .height = truth.height};
      if (on_scored && v + 1 == variants_.size()) on_scored(i, scored, grid, truth, prediction);
    }
  }

  void fail_file(const FileFailure& failure) { causes_[indices_[failure.index]] = failure.cause; }
  const std::vector<std::string>& causes() const { return causes_; }

  std::vector<Evaluation> results() const {
    std::vector<Evaluation> results(variants_.size());
    for (std::size_t v = 0; v < variants_.size(); ++v) {
      results[v].members = variants_[v].members.size();
      for (std::size_t i = 0; i < samples_.size(); ++i) {
        if (!causes_[i].empty()) {
          results[v].left_out.push_back(causes_[i]);
          continue;
        }
        results[v].images.push_back(scored_[v][i]);
        results[v].truth += reports_[i];
      }
    }
    return results;
  }

 private:
  std::span<const Variant> variants_;
  const std::vector<data::Sample>& samples_;
  std::vector<std::string> causes_;               // empty for those that are scored
  std::vector<TruthReport> reports_;              // by sample
  std::vector<std::vector<ScoredImage>> scored_;  // by variant and sample
  std::vector<fs::path> files_;                   // of the samples whose headers fit
  std::vector<std::size_t> indices_;              // of the samples behind the files
};

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

Variant variant_of(const Ensemble& ensemble) {
  std::vector<std::size_t> all(ensemble.count());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return {.name = ensemble.count() > 1 ? "ensemble" : "run",
          .members = std::move(all),
          .augmented = ensemble.augmentation() != TestTimeAugmentation::none,
          .threshold = ensemble.threshold()};
}

std::vector<Evaluation> evaluate(Ensemble& ensemble, std::span<const Variant> variants,
                                 const std::vector<data::Sample>& samples, const EvaluationOptions& options,
                                 const OnProgress& progress, const OnScored& on_scored) {
  DERMATOME_CHECK(!samples.empty(), "there are no photographs to score");
  DERMATOME_CHECK(!variants.empty(), "there is no way of scoring");
  auto causes = mismatches(samples);
  if (!options.skip_bad) {
    read_others(samples, causes);
    refuse(causes);
  }
  Scoring scoring(variants, samples, std::move(causes));
  data::MemoryBudget budget(data::kDecodingBudget);
  FilesOptions files;
  if (options.cache != nullptr) {
    files.read = [&](std::size_t file, const Predictor& reader) {
      return photograph_of(samples[scoring.index_of(file)], reader, *options.cache, budget);
    };
  }
  const auto score = [&](std::size_t file, const data::StoredGrid& grid, std::span<const MemberMaps> members) {
    scoring.score(file, grid, members, on_scored);
  };
  for (const auto& failure : map_files(ensemble, scoring.files(), files, score, progress)) scoring.fail_file(failure);
  if (!options.skip_bad) refuse(scoring.causes());
  auto results = scoring.results();
  DERMATOME_CHECK(!results.front().images.empty(), "none of {} photographs can be scored; the first: {}",
                  samples.size(), results.front().left_out.front());
  return results;
}

Evaluation evaluate(Ensemble& ensemble, const std::vector<data::Sample>& samples, const EvaluationOptions& options,
                    const OnProgress& progress, const OnScored& on_scored) {
  const Variant variant = variant_of(ensemble);
  return std::move(evaluate(ensemble, std::span(&variant, 1), samples, options, progress, on_scored).front());
}

}  // namespace dermatome::training

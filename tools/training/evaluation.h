// Scoring a data set: photographs with an Ensemble, in several ways at once, or masks that somebody else predicted.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "data/cache.h"
#include "data/dataset.h"
#include "data/split.h"
#include "tools/training/evaluation_scores.h"
#include "tools/training/evaluation_statistics.h"
#include "tools/training/postprocessing.h"
#include "tools/training/predictor_files.h"

namespace dermatome::training {

struct ScoredImage {
  std::string id;
  Scores scores{};
  PixelCounts counts;
  int width = 0, height = 0;
  bool trained_on = false;  // set by mark_trained_on
};

// How true masks differed from what the challenge publishes, in numbers of files.
struct TruthReport {
  std::size_t zero_one = 0;    // had the values 0 and 1, and were read as 0 and 255
  std::size_t grey_edged = 0;  // had other values than 0 and 255, and were cut at > 128
  std::size_t lossy = 0;       // were JPEGs

  TruthReport& operator+=(const TruthReport& other);
};

struct Evaluation {
  std::vector<ScoredImage> images;  // in the order of the samples
  TruthReport truth;
  std::vector<std::string> left_out;  // why, one a photograph that could not be scored
  std::size_t members = 1;            // networks that answered together

  Scores means() const;
};

// The samples that the split file (columns image,part) puts into `part`. Throws Error when there are none.
std::vector<data::Sample> samples_of_part(const std::vector<data::Sample>& samples, const std::filesystem::path& split,
                                          data::Part part);

// The names that a run's split file puts into its training part; none where there is no such file. Rows of other parts
// and rows that cannot be read are passed over.
std::set<std::string> training_names(const std::filesystem::path& split);

// Marks the images whose id is among `names`; returns how many.
std::size_t mark_trained_on(Evaluation& evaluation, const std::set<std::string>& names);

// One metric of all images, in their order.
std::vector<double> values_of(const Evaluation& evaluation, Metric metric);

// size_quarters() of the images.
std::vector<SizeGroup> size_quarters(const Evaluation& evaluation, std::uint64_t seed);

// A way of turning what the members say into a mask.
struct Variant {
  std::string name;
  std::vector<std::size_t> members;  // whose maps are averaged
  bool augmented = false;            // over the ensemble's test-time augmentation
  double threshold = 0.5;
  PostProcessing postprocessing = {};
};

// All members, with what the ensemble does at test time.
Variant variant_of(const Ensemble& ensemble);

// What a caller may want to keep of each photograph: called once each, on any thread, several at a time; of the last
// variant.
using OnScored = std::function<void(std::size_t index, const ScoredImage& scored, const data::StoredGrid& grid,
                                    const data::Image& truth, const Prediction& prediction)>;

struct EvaluationOptions {
  bool skip_bad = false;
  data::Cache* cache = nullptr;  // photographs come from it, where there is one; true masks are read from their files
};

// One result a variant, each of the same photographs. Unreadable files, masks of another size than their photograph
// (found before anything is predicted) and masks of more than two classes are named with the cause: with skip_bad in
// the results, otherwise in an Error; and in an Error where none is left. `index` above counts in `samples`.
std::vector<Evaluation> evaluate(Ensemble& ensemble, std::span<const Variant> variants,
                                 const std::vector<data::Sample>& samples, const EvaluationOptions& options,
                                 const OnProgress& progress, const OnScored& on_scored = {});

// Of variant_of(ensemble).
Evaluation evaluate(Ensemble& ensemble, const std::vector<data::Sample>& samples, const EvaluationOptions& options,
                    const OnProgress& progress, const OnScored& on_scored = {});

}  // namespace dermatome::training

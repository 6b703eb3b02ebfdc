// Pairing and scoring of mask files.
#include "tools/training/evaluation_masks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <new>

#include "data/files.h"
#include "data/folder.h"
#include "data/name_list.h"
#include "engine/core/error.h"
#include "tools/training/evaluation_truth.h"

namespace dermatome::training {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kSuffixes{"_segmentation", "_mask", "_lesion"};

constexpr std::size_t kNamed = 1000;  // true masks without a prediction in an error

// The length of the suffix that a mask's name ends with, in any case of letters; 0 where there is none.
std::size_t suffix_length(const std::string& stem) {
  const std::string lower = data::lower_case(stem);
  for (const auto suffix : kSuffixes) {
    if (lower.size() > suffix.size() && lower.ends_with(suffix)) return suffix.size();
  }
  return 0;
}

std::string stem_of(const fs::path& path) {
  return path.stem().string();
}

struct NamedMask {
  std::string id;
  fs::path path;
};

// By their ids in lower case.
std::map<std::string, NamedMask> masks_in(const fs::path& folder, const char* what) {
  std::error_code ignored;
  DERMATOME_CHECK(fs::exists(folder, ignored), "the folder {} does not exist", folder.string());
  DERMATOME_CHECK(fs::is_directory(folder, ignored), "{} is a file, not a folder", folder.string());
  auto pictures = data::list_pictures(folder, true);
  std::erase_if(pictures, [](const fs::path& path) { return data::lower_case(stem_of(path)).ends_with("_overlay"); });
  const bool suffixed = std::any_of(pictures.begin(), pictures.end(),
                                    [](const fs::path& path) { return suffix_length(stem_of(path)) > 0; });
  if (suffixed) {
    std::erase_if(pictures, [](const fs::path& path) { return suffix_length(stem_of(path)) == 0; });
  }
  DERMATOME_CHECK(!pictures.empty(), "{} holds no {} masks (PNG files such as ISIC_0000000_segmentation.png)",
                  folder.string(), what);
  std::map<std::string, NamedMask> masks;
  for (const auto& path : pictures) {
    std::string id = stem_of(path);
    id.resize(id.size() - suffix_length(id));
    const auto [other, added] = masks.emplace(data::lower_case(id), NamedMask{.id = id, .path = path});
    DERMATOME_CHECK(added, "{} and {} are both {} masks of {}; leave one of them", other->second.path.string(),
                    path.string(), what, id);
  }
  return masks;
}

// The result of one pair: kept until the parallel region ends.
struct Row {
  ScoredImage scored;
  TruthReport truth;
  std::string cause;
};

void score_pair(const MaskPair& pair, Row& row) {
  const data::Image truth = read_truth(pair.truth, row.truth);
  const data::Image predicted = data::read_mask(pair.prediction).grey;
  DERMATOME_CHECK(predicted.width == truth.width && predicted.height == truth.height,
                  "{} is {}x{} pixels but the true mask {} is {}x{}", pair.prediction.string(), predicted.width,
                  predicted.height, pair.truth.string(), truth.width, truth.height);
  const PixelCounts counts = count_pixels(predicted, truth);
  row.scored = {
      .id = pair.id, .scores = scores_of(counts), .counts = counts, .width = truth.width, .height = truth.height};
}

}  // namespace

MaskPairs pair_masks(const fs::path& predictions, const fs::path& truth) {
  const auto true_masks = masks_in(truth, "true");
  auto predicted = masks_in(predictions, "predicted");
  MaskPairs result;
  std::vector<std::string> missing;
  for (const auto& [key, mask] : true_masks) {
    const auto found = predicted.find(key);
    if (found == predicted.end()) {
      missing.push_back(mask.id);
      continue;
    }
    result.pairs.push_back({.id = mask.id, .prediction = found->second.path, .truth = mask.path});
    predicted.erase(found);
  }
  DERMATOME_CHECK(
      !result.pairs.empty(),
      "no predicted mask in {} has the name of a true mask in {}: {}_segmentation.png is sought, for example",
      predictions.string(), truth.string(), missing.front());
  DERMATOME_CHECK(missing.empty(), "{} of {} true masks in {} have no prediction in {}: {}", missing.size(),
                  true_masks.size(), truth.string(), predictions.string(), data::first_names(missing, kNamed));
  std::sort(result.pairs.begin(), result.pairs.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const auto& [key, mask] : predicted) result.extra.push_back(mask.path.filename().string());
  std::sort(result.extra.begin(), result.extra.end());
  return result;
}

Evaluation evaluate_masks(const std::vector<MaskPair>& pairs, const OnProgress& progress) {
  constexpr std::size_t kAtOnce = 16;
  Evaluation evaluation;
  std::vector<FileFailure> failures;
  for (std::size_t first = 0; first < pairs.size(); first += kAtOnce) {
    std::vector<Row> rows(std::min(kAtOnce, pairs.size() - first));
    const auto count = static_cast<std::int64_t>(rows.size());
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t i = 0; i < count; ++i) {
      const MaskPair& pair = pairs[first + static_cast<std::size_t>(i)];
      Row& row = rows[static_cast<std::size_t>(i)];
      try {
        score_pair(pair, row);
      } catch (const std::bad_alloc&) {
        row.cause = pair.truth.string() + " does not fit in memory";
      } catch (const std::exception& error) {
        row.cause = error.what();
      }
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!rows[i].cause.empty()) failures.push_back({first + i, rows[i].cause});
      evaluation.truth += rows[i].truth;
      evaluation.images.push_back(std::move(rows[i].scored));
    }
    if (progress) progress(first + rows.size(), pairs.size());
  }
  if (!failures.empty()) fail("{}", describe(failures, pairs.size(), "masks cannot be scored"));
  return evaluation;
}

}  // namespace dermatome::training

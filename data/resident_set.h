// All photographs and masks of a data set in memory at one training size, ready for the augmentation op.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/parallel.h"
#include "data/prepared.h"

namespace dermatome::data {

// What was repaired on the way, in numbers of files, so that the user can be told.
struct LoadReport {
  std::size_t grey_edged_masks = 0;
  std::size_t zero_one_masks = 0;
  std::size_t colour_masks = 0;
  std::size_t resized_masks = 0;
  std::size_t turned_masks = 0;       // drawn upright on photographs that are stored otherwise
  std::size_t misfitting_masks = 0;   // either or both: not of their photograph's stored size, which scoring needs
  std::size_t turned = 0;             // photographs turned upright by their EXIF orientation, with their masks
  std::vector<std::string> left_out;  // why, one a sample

  void count(const MaskRepairs& repairs, const StoredGrid& grid);
  void add(const LoadReport& other);

  // A sentence for each kind of repair that was needed among `total` samples.
  std::vector<std::string> sentences(std::size_t total) const;
};

// M samples at size S: images u8 [M, S, S, 3] and masks u8 [M, S, S] of 0 and 255, upright, rows from the top.
struct ResidentSet {
  int size = 0;
  std::vector<std::uint8_t> images;
  std::vector<std::uint8_t> masks;
  std::vector<std::string> ids;
  std::vector<StoredGrid> stored;
  std::vector<ContentHash> contents;  // of photograph and mask as they are stored
  std::vector<std::size_t> indices;   // where each was among the samples asked for; rising
  LoadReport report;

  std::size_t count() const { return ids.size(); }
  std::span<const std::uint8_t> image(std::size_t index) const {
    return std::span(images).subspan(index * mask_bytes() * 3, mask_bytes() * 3);
  }
  std::span<const std::uint8_t> mask(std::size_t index) const {
    return std::span(masks).subspan(index * mask_bytes(), mask_bytes());
  }
  // How many of the first `samples` asked for are here.
  std::size_t count_of_first(std::size_t samples) const;

  std::size_t mask_bytes() const { return static_cast<std::size_t>(size) * static_cast<std::size_t>(size); }
};

class Cache;

struct LoadOptions {
  Cache* cache = nullptr;  // where pairs are looked for and kept; none: all are decoded
  bool skip_bad = false;   // leave out samples that cannot be used, with the causes in the report
  Progress progress;
};

// Decodes on all threads of OpenMP, holding kDecodingBudget besides the result, and prepares each pair as prepare_pair
// does. Throws Error for a size outside 1..kLargestSize, for no samples, where the set does not fit in memory, and,
// after all files were tried, one that names every bad file; with skip_bad, only where no sample is left.
ResidentSet load_resident_set(std::span<const Sample> samples, const Preparation& preparation,
                              const LoadOptions& options = {});

}  // namespace dermatome::data

// What can be learnt of a data set by looking at every file once: before training, not in the middle of it.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/content_hash.h"
#include "data/dataset.h"
#include "data/mask_repair.h"
#include "data/near_duplicates.h"
#include "data/parallel.h"

namespace dermatome::data {

// One photograph; `error` says why it cannot be used, and the rest then means nothing.
struct InspectedPhotograph {
  std::string error;
  ImageInfo info;
  std::uint64_t bytes = 0;
  ContentHash hash;
  Fingerprint print;
};

// One mask; `error` also where it does not fit its photograph.
struct InspectedMask {
  std::string error;
  ImageInfo info;
  ContentHash hash;
  MaskRepairs repairs;
  double lesion_share = 0;  // of its pixels
  Image small;              // Fingerprint::kSide a side, upright, 0 and 255
};

struct InspectedPair {
  InspectedPhotograph photograph;
  InspectedMask mask;

  bool is_usable() const { return photograph.error.empty() && mask.error.empty(); }
};

// The samples of a pairing, in their order. Decodes every file, on all threads, within kDecodingBudget.
std::vector<InspectedPair> inspect(const std::vector<Sample>& samples, const Progress& progress);

// Photographs alone.
std::vector<InspectedPhotograph> inspect_photographs(const std::vector<std::filesystem::path>& photographs,
                                                     const Progress& progress);

// Throws Error that names every photograph without exactly one mask, and with them every file that cannot be used: only
// where some photograph of some pairing has no mask of its own are files looked at, for loading names bad files itself.
void check_usable(std::span<const Pairing> pairings, const Progress& progress);

// Loading a pair ends at its photograph where that is bad. Of such samples, `failures` then says of the mask as well
// what is wrong with it.
void name_bad_masks(std::span<const Sample> samples, std::vector<std::string>& failures);

}  // namespace dermatome::data

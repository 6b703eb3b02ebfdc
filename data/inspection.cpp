// Decoding each pair at a small size and remembering what it was like.
#include "data/inspection.h"

#include <algorithm>
#include <new>

#include "data/files.h"
#include "data/image/resize.h"
#include "data/memory_budget.h"
#include "data/name_list.h"
#include "data/prepared.h"
#include "engine/core/error.h"

namespace dermatome::data {
namespace {

// Calls `action` and keeps what it throws as a sentence that names `file`.
template <typename Action>
std::string cause_of(const std::filesystem::path& file, const Action& action) {
  try {
    action();
    return "";
  } catch (const std::bad_alloc&) {
    return file.string() + " does not fit in memory";
  } catch (const Error& error) {
    return error.what();
  }
}

InspectedPhotograph inspect_photograph(const std::filesystem::path& file, MemoryBudget& budget) {
  InspectedPhotograph result;
  result.error = cause_of(file, [&] {
    const auto bytes = read_file(file);
    result.bytes = bytes.size();
    result.hash = hash_of(bytes);
    result.info = probe(bytes, file.string());
    const auto share = budget.take(preparing_bytes(bytes, bytes, Fingerprint::kSide));
    result.print = fingerprint_of(bytes, file.string());
  });
  return result;
}

double lesion_share(const Image& mask) {
  const auto count = std::count(mask.pixels.begin(), mask.pixels.end(), std::uint8_t{255});
  return static_cast<double>(count) / static_cast<double>(mask.pixels.size());
}

// Where the photograph cannot be read, the mask is looked at as if it had the right size.
InspectedMask inspect_mask_of(const Sample& sample, const InspectedPhotograph& photograph, MemoryBudget& budget) {
  InspectedMask result;
  result.error = cause_of(sample.mask, [&] {
    const auto bytes = read_file(sample.mask);
    result.hash = hash_of(bytes);
    result.info = probe(bytes, sample.mask.string());
    const auto share = budget.take(preparing_bytes(bytes, bytes, Fingerprint::kSide));
    StoredGrid grid{.width = result.info.width, .height = result.info.height};
    if (photograph.error.empty()) {
      grid = {
          .width = photograph.info.width, .height = photograph.info.height, .orientation = photograph.info.orientation};
    }
    const RepairedMask repaired =
        repair_mask(decode_mask(bytes, sample.mask.string()), grid, sample.mask.string(), sample.image.string());
    result.repairs = repaired.repairs;
    result.lesion_share = lesion_share(repaired.mask);
    result.small = to_upright(resize_mask(repaired.mask, Fingerprint::kSide, Fingerprint::kSide), grid.orientation);
  });
  return result;
}

InspectedPair inspect_pair(const Sample& sample, MemoryBudget& budget) {
  InspectedPair pair{.photograph = inspect_photograph(sample.image, budget), .mask = {}};
  pair.mask = inspect_mask_of(sample, pair.photograph, budget);
  return pair;
}

// One sentence for both files; empty where both can be used.
std::string cause_of(const InspectedPair& pair) {
  const bool both = !pair.photograph.error.empty() && !pair.mask.error.empty();
  return pair.photograph.error + (both ? "; " : "") + pair.mask.error;
}

std::vector<std::string> causes_in(const Pairing& pairing, const Progress& progress) {
  std::vector<std::string> causes = causes_of(pairing);
  for (const auto& pair : inspect(pairing.samples, progress)) {
    if (!pair.is_usable()) causes.push_back(cause_of(pair));
  }
  return causes;
}

}  // namespace

std::vector<InspectedPair> inspect(const std::vector<Sample>& samples, const Progress& progress) {
  std::vector<InspectedPair> pairs(samples.size());
  MemoryBudget budget(kDecodingBudget);
  for_each_file(samples.size(), progress, [&](std::size_t i) { pairs[i] = inspect_pair(samples[i], budget); });
  return pairs;
}

std::vector<InspectedPhotograph> inspect_photographs(const std::vector<std::filesystem::path>& photographs,
                                                     const Progress& progress) {
  std::vector<InspectedPhotograph> result(photographs.size());
  MemoryBudget budget(kDecodingBudget);
  for_each_file(photographs.size(), progress,
                [&](std::size_t i) { result[i] = inspect_photograph(photographs[i], budget); });
  return result;
}

void check_usable(std::span<const Pairing> pairings, const Progress& progress) {
  std::size_t unpaired = 0;
  std::size_t photographs = 0;
  std::vector<std::string> folders;
  for (const Pairing& pairing : pairings) {
    check_pairing(pairing, true);
    unpaired += pairing.unpaired.size();
    photographs += pairing.photographs();
    folders.push_back(pairing.images.string());
  }
  if (unpaired == 0) return;
  std::vector<std::string> causes;  // one a photograph
  for (const Pairing& pairing : pairings) {
    const auto more = causes_in(pairing, progress);
    causes.insert(causes.end(), more.begin(), more.end());
  }
  fail("{} of {} photographs in {} cannot be used; repair or remove them, or leave them out with --skip-bad:{}",
       causes.size(), photographs, fmt::join(folders, " and "), listed(causes));
}

void name_bad_masks(std::span<const Sample> samples, std::vector<std::string>& failures) {
  MemoryBudget budget(kDecodingBudget);
  for_each_file(samples.size(), {}, [&](std::size_t i) {
    if (failures[i].empty()) return;
    const InspectedPair pair = inspect_pair(samples[i], budget);
    if (!pair.photograph.error.empty() && !pair.mask.error.empty()) failures[i] = cause_of(pair);
  });
}

}  // namespace dermatome::data

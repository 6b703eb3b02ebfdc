// Decoding each pair at a small size and remembering what it was like.
#include "data/inspection.h"

#include <algorithm>
#include <new>

#include "data/files.h"
#include "data/image/resize.h"
#include "data/memory_budget.h"
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

}  // namespace

std::vector<InspectedPair> inspect(const std::vector<Sample>& samples, const Progress& progress) {
  std::vector<InspectedPair> pairs(samples.size());
  MemoryBudget budget(kDecodingBudget);
  for_each_file(samples.size(), progress, [&](std::size_t i) {
    pairs[i].photograph = inspect_photograph(samples[i].image, budget);
    pairs[i].mask = inspect_mask_of(samples[i], pairs[i].photograph, budget);
  });
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

}  // namespace dermatome::data

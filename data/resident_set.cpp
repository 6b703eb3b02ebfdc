// Parallel loading, with the failures of all files gathered.
#include "data/resident_set.h"

#include <algorithm>
#include <new>

#include "data/cache.h"
#include "data/files.h"
#include "data/inspection.h"
#include "data/memory_budget.h"
#include "engine/core/error.h"

namespace dermatome::data {
namespace {

class Loader {
 public:
  Loader(std::span<const Sample> samples, const Preparation& preparation)
      : samples_(samples), preparation_(preparation), repairs_(samples.size()) {
    const int size = preparation.size;
    set_.size = size;
    try {
      set_.images.resize(samples.size() * set_.mask_bytes() * 3);
      set_.masks.resize(samples.size() * set_.mask_bytes());
    } catch (const std::exception&) {
      fail("{} samples at {} px need {:.1f} GB of memory, more than there is: use fewer or a smaller size",
           samples.size(), size, 4e-9 * static_cast<double>(samples.size()) * static_cast<double>(set_.mask_bytes()));
    }
    set_.stored.resize(samples.size());
    set_.contents.resize(samples.size());
  }

  ResidentSet load(const LoadOptions& options) {
    cache_ = options.cache;
    auto failures = for_each_file(samples_.size(), options.progress, [this](std::size_t i) { load_sample(i); });
    name_bad_masks(samples_, failures);
    if (!options.skip_bad) {
      check_failures(failures, samples_.size(), "; repair or remove them, or leave them out with --skip-bad");
    }
    keep_good(failures);
    for (std::size_t i = 0; i < set_.count(); ++i) set_.report.count(repairs_[set_.indices[i]], set_.stored[i]);
    return std::move(set_);
  }

 private:
  void load_sample(std::size_t index) {
    const Sample& sample = samples_[index];
    try {
      if (cache_ != nullptr) {
        put(index, cache_->pair(sample, preparation_, budget_));
        return;
      }
      const auto image = read_file(sample.image);
      const auto mask = read_file(sample.mask);
      const auto share = budget_.take(preparing_bytes(image, mask, set_.size));
      PreparedPair pair = prepare_pair(sample, image, mask, preparation_);
      pair.image_file = hash_of(image);
      pair.mask_file = hash_of(mask);
      put(index, pair);
    } catch (const std::bad_alloc&) {
      fail("{} does not fit in memory", sample.image.string());
    }
  }

  void put(std::size_t index, const PreparedPair& pair) {
    const std::size_t bytes = set_.mask_bytes();
    std::copy(pair.photograph.image.pixels.begin(), pair.photograph.image.pixels.end(),
              set_.images.begin() + static_cast<std::ptrdiff_t>(index * bytes * 3));
    std::copy(pair.mask.pixels.begin(), pair.mask.pixels.end(),
              set_.masks.begin() + static_cast<std::ptrdiff_t>(index * bytes));
    set_.stored[index] = pair.photograph.stored;
    set_.contents[index] = hash_of(to_text(pair.image_file) + to_text(pair.mask_file));
    repairs_[index] = pair.repairs;
  }

  // Closes the gaps that bad samples left.
  void keep_good(const std::vector<std::string>& failures) {
    for (std::size_t i = 0; i < failures.size(); ++i) {
      if (!failures[i].empty()) {
        set_.report.left_out.push_back(failures[i]);
        continue;
      }
      const std::size_t to = set_.indices.size();
      if (to != i) {
        std::copy_n(set_.image(i).begin(), set_.mask_bytes() * 3, set_.images.data() + to * set_.mask_bytes() * 3);
        std::copy_n(set_.mask(i).begin(), set_.mask_bytes(), set_.masks.data() + to * set_.mask_bytes());
        set_.stored[to] = set_.stored[i];
        set_.contents[to] = set_.contents[i];
      }
      set_.indices.push_back(i);
      set_.ids.push_back(samples_[i].id);
    }
    DERMATOME_CHECK(set_.count() > 0, "none of {} samples can be used; the first: {}", samples_.size(),
                    set_.report.left_out.front());
    set_.images.resize(set_.count() * set_.mask_bytes() * 3);
    set_.masks.resize(set_.count() * set_.mask_bytes());
    set_.stored.resize(set_.count());
    set_.contents.resize(set_.count());
  }

  std::span<const Sample> samples_;
  Preparation preparation_;
  Cache* cache_ = nullptr;
  MemoryBudget budget_{kDecodingBudget};
  ResidentSet set_;
  std::vector<MaskRepairs> repairs_;
};

}  // namespace

void LoadReport::count(const MaskRepairs& repairs, const StoredGrid& grid) {
  grey_edged_masks += repairs.grey_edged ? 1u : 0u;
  zero_one_masks += repairs.zero_one ? 1u : 0u;
  colour_masks += repairs.colour ? 1u : 0u;
  resized_masks += repairs.resized ? 1u : 0u;
  turned_masks += repairs.turned ? 1u : 0u;
  misfitting_masks += repairs.resized || repairs.turned ? 1u : 0u;
  turned += grid.orientation != Orientation::upright ? 1u : 0u;
}

void LoadReport::add(const LoadReport& other) {
  grey_edged_masks += other.grey_edged_masks;
  zero_one_masks += other.zero_one_masks;
  colour_masks += other.colour_masks;
  resized_masks += other.resized_masks;
  turned_masks += other.turned_masks;
  misfitting_masks += other.misfitting_masks;
  turned += other.turned;
  left_out.insert(left_out.end(), other.left_out.begin(), other.left_out.end());
}

std::vector<std::string> LoadReport::sentences(std::size_t total) const {
  std::vector<std::string> result;
  const auto tell = [&](std::size_t count, const char* what) {
    if (count > 0) result.push_back(fmt::format("{} of {} {}", count, total, what));
  };
  tell(grey_edged_masks, "masks have grey edges; they were cut at > 127");
  tell(zero_one_masks, "masks hold 0 and 1; they were read as 0 and 255");
  tell(colour_masks, "masks are stored in colour; their channels are equal, and one was taken");
  tell(resized_masks, "masks have another size than their photograph but its shape; they were scaled");
  tell(turned_masks, "masks are drawn on the photograph as its EXIF orientation shows it; they were turned with it");
  tell(turned, "photographs were turned upright as their EXIF orientation says");
  return result;
}

std::size_t ResidentSet::count_of_first(std::size_t samples) const {
  return static_cast<std::size_t>(std::lower_bound(indices.begin(), indices.end(), samples) - indices.begin());
}

ResidentSet load_resident_set(std::span<const Sample> samples, const Preparation& preparation,
                              const LoadOptions& options) {
  DERMATOME_CHECK(!samples.empty(), "there are no samples to load");
  check_size(preparation);
  return Loader(samples, preparation).load(options);
}

}  // namespace dermatome::data

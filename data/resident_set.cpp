// Parallel loading, with the failures of all files gathered in one error.
#include "data/resident_set.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <new>
#include <utility>

#include "data/codec.h"
#include "data/image/resize.h"
#include "data/mask_values.h"
#include "data/name_list.h"
#include "engine/core/error.h"

namespace dermatome::data {
namespace {

constexpr int kLargestSize = 8192;
constexpr std::size_t kListedFailures = 10;

// How one pair differed from what the challenge publishes.
struct Repairs {
  bool grey_edged = false;
  bool zero_one = false;
  bool colour = false;
};

// The mask on the upright grid, cut to 0 and 255.
Image load_mask(const Sample& sample, const StoredGrid& grid, Repairs& repairs) {
  Mask mask = read_mask(sample.mask);
  DERMATOME_CHECK(mask.grey.width == grid.width && mask.grey.height == grid.height,
                  "{} is {}x{} pixels but its photograph {} is {}x{}{}", sample.mask.string(), mask.grey.width,
                  mask.grey.height, sample.image.string(), grid.width, grid.height,
                  grid.orientation == Orientation::upright ? "" : " as stored, before its EXIF orientation is applied");
  const MaskValues values = inspect_mask(mask.grey);
  check_two_classes(values, mask.grey, sample.mask.string());
  repairs = {.grey_edged = values.distinct > 2, .zero_one = mask.was_zero_one, .colour = mask.was_colour};
  if (!values.only_black_and_white) cut_mask(mask.grey);
  return grid.orientation == Orientation::upright ? std::move(mask.grey) : to_upright(mask.grey, grid.orientation);
}

class Loader {
 public:
  Loader(std::span<const Sample> samples, int size, const Progress& progress)
      : samples_(samples), progress_(progress), repairs_(samples.size()), failures_(samples.size()) {
    const std::size_t pixels = static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
    set_.size = size;
    try {
      set_.images.resize(samples.size() * pixels * 3);
      set_.masks.resize(samples.size() * pixels);
    } catch (const std::exception&) {
      fail("{} samples at {} px need {:.1f} GB of memory, more than there is: use fewer or a smaller size",
           samples.size(), size, 4e-9 * static_cast<double>(samples.size()) * static_cast<double>(pixels));
    }
    set_.stored.resize(samples.size());
    for (const Sample& sample : samples) set_.ids.push_back(sample.id);
  }

  // No exception may leave an OpenMP region: failures are kept by sample, so that their order is that of the samples.
  ResidentSet load() {
    const auto count = static_cast<std::int64_t>(samples_.size());
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t i = 0; i < count; ++i) {
      if (stopped_) continue;
      const auto index = static_cast<std::size_t>(i);
      try {
        load_sample(index);
      } catch (const std::bad_alloc&) {
        failures_[index] = samples_[index].image.string() + " does not fit in memory";
      } catch (const std::exception& error) {
        failures_[index] = error.what();
      }
      report_progress();
    }
    if (stop_cause_) std::rethrow_exception(stop_cause_);
    check_failures();
    count_repairs();
    return std::move(set_);
  }

 private:
  void load_sample(std::size_t index) {
    const Sample& sample = samples_[index];
    Photograph photograph = read_rgb(sample.image);
    StoredGrid& grid = set_.stored[index];
    grid = {
        .width = photograph.stored_width, .height = photograph.stored_height, .orientation = photograph.orientation};
    const Image image = resize(photograph.image, set_.size, set_.size);
    photograph = {};  // a large one need not stay beside the mask
    std::copy(image.pixels.begin(), image.pixels.end(), at(set_.images, index, image.pixels.size()));
    const Image mask = resize_mask(load_mask(sample, grid, repairs_[index]), set_.size, set_.size);
    std::copy(mask.pixels.begin(), mask.pixels.end(), at(set_.masks, index, mask.pixels.size()));
  }

  static std::vector<std::uint8_t>::iterator at(std::vector<std::uint8_t>& all, std::size_t index, std::size_t bytes) {
    return all.begin() + static_cast<std::ptrdiff_t>(index * bytes);
  }

  void report_progress() {
    const std::lock_guard lock(mutex_);
    ++done_;
    if (!progress_ || stopped_) return;
    try {
      progress_(done_, samples_.size());
    } catch (...) {
      stop_cause_ = std::current_exception();
      stopped_ = true;
    }
  }

  void check_failures() const {
    std::vector<std::string> failures;
    for (const auto& failure : failures_) {
      if (!failure.empty()) failures.push_back(failure);
    }
    if (failures.size() == 1) fail("{}", failures.front());
    if (failures.empty()) return;
    const std::size_t shown = std::min(kListedFailures, failures.size());
    const std::size_t more = failures.size() - shown;
    fail("{} of {} samples cannot be used: {}{}", failures.size(), samples_.size(),
         fmt::join(failures.begin(), failures.begin() + static_cast<std::ptrdiff_t>(shown), "; "),
         more > 0 ? fmt::format("; and {} more", more) : "");
  }

  void count_repairs() {
    LoadReport& report = set_.report;
    for (std::size_t i = 0; i < repairs_.size(); ++i) {
      report.grey_edged_masks += repairs_[i].grey_edged ? 1u : 0u;
      report.zero_one_masks += repairs_[i].zero_one ? 1u : 0u;
      report.colour_masks += repairs_[i].colour ? 1u : 0u;
      report.turned += set_.stored[i].orientation != Orientation::upright ? 1u : 0u;
    }
  }

  std::span<const Sample> samples_;
  const Progress& progress_;
  ResidentSet set_;
  std::vector<Repairs> repairs_;
  std::vector<std::string> failures_;
  std::mutex mutex_;
  std::size_t done_ = 0;
  std::atomic<bool> stopped_ = false;
  std::exception_ptr stop_cause_;
};

}  // namespace

ResidentSet load_resident_set(std::span<const Sample> samples, int size, const Progress& progress) {
  DERMATOME_CHECK(!samples.empty(), "there are no samples to load");
  DERMATOME_CHECK(size >= 1 && size <= kLargestSize, "a size of {} px is outside 1 to {}", size, kLargestSize);
  return Loader(samples, size, progress).load();
}

}  // namespace dermatome::data

// All photographs and masks of a data set in memory at one training size, ready for the augmentation op.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image/orientation.h"

namespace dermatome::data {

// The grid of a photograph's file, for bringing a mask back to it.
struct StoredGrid {
  int width = 0;
  int height = 0;
  Orientation orientation = Orientation::upright;
};

// What was repaired on the way, in numbers of files, so that the user can be told.
struct LoadReport {
  std::size_t grey_edged_masks = 0;  // had values besides two, and were cut at > 127
  std::size_t zero_one_masks = 0;    // had the values 0 and 1
  std::size_t colour_masks = 0;      // stored as RGB or palette
  std::size_t turned = 0;            // photographs turned upright by their EXIF orientation, with their masks
};

// M samples at size S: images u8 [M, S, S, 3] and masks u8 [M, S, S] of 0 and 255, upright, rows from the top.
struct ResidentSet {
  int size = 0;
  std::vector<std::uint8_t> images;
  std::vector<std::uint8_t> masks;
  std::vector<std::string> ids;
  std::vector<StoredGrid> stored;
  LoadReport report;

  std::size_t count() const { return ids.size(); }
  std::span<const std::uint8_t> image(std::size_t index) const {
    return std::span(images).subspan(index * mask_bytes() * 3, mask_bytes() * 3);
  }
  std::span<const std::uint8_t> mask(std::size_t index) const {
    return std::span(masks).subspan(index * mask_bytes(), mask_bytes());
  }

 private:
  std::size_t mask_bytes() const { return static_cast<std::size_t>(size) * static_cast<std::size_t>(size); }
};

// Told after each file; calls come one at a time, in rising order of `done`, from any thread. What it throws ends the
// loading and reaches the caller.
using Progress = std::function<void(std::size_t done, std::size_t total)>;

// Decodes on all threads of OpenMP and squashes each pair to size x size, sides scaled each by itself (area where they
// shrink); masks are cut at > 127. Throws Error for a size outside 1..8192, for no samples, where the set does not
// fit in memory, and, after all files were tried, one that names the first ten bad files and counts the rest:
// unreadable, a mask of another size than its photograph, or one that is no mask of two classes.
ResidentSet load_resident_set(std::span<const Sample> samples, int size, const Progress& progress = {});

}  // namespace dermatome::data

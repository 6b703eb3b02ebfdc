// Which photographs a report shows: the best, the worst, and some of all the others.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "tools/report/report_data.h"

namespace dermatome::report {

inline constexpr std::size_t kBestPictures = 6;
inline constexpr std::size_t kWorstPictures = 6;
inline constexpr std::size_t kOtherPictures = 12;

// Indices into the images; none comes twice.
struct PictureChoice {
  std::vector<std::size_t> best;    // the highest Jaccard first
  std::vector<std::size_t> worst;   // the lowest first
  std::vector<std::size_t> others;  // evenly spaced in rank between them, the highest first
};

// Photographs of equal Jaccard are ordered by id. Those without a Jaccard are never chosen. Fewer photographs than
// there are places: half of them, rounded up, are best.
PictureChoice choose_pictures(std::span<const ReportImage> images);

}  // namespace dermatome::report

// Regions as sets of runs: stretches of equal pixels in a row, joined where runs of neighbouring rows touch
// (union-find). So the work and the memory go with the outline, not with the area.
#include "data/image/regions.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "engine/core/error.h"

namespace dermatome::data {
namespace {

struct Run {
  int y = 0, first = 0, end = 0;  // pixels first to end - 1 of row y
};

struct Regions {
  std::vector<Run> runs;             // from the top, from the left
  std::vector<std::size_t> of;       // of each run, named by its first run
  std::vector<std::int64_t> pixels;  // of each region, at its first run
  std::vector<bool> at_border;       // of each region, likewise
};

std::size_t root_of(std::vector<std::size_t>& parents, std::size_t run) {
  while (parents[run] != run) {
    parents[run] = parents[parents[run]];
    run = parents[run];
  }
  return run;
}

void join(std::vector<std::size_t>& parents, std::size_t a, std::size_t b) {
  a = root_of(parents, a);
  b = root_of(parents, b);
  parents[std::max(a, b)] = std::min(a, b);
}

void append_runs(const Image& mask, int y, std::uint8_t value, std::vector<Run>& runs) {
  const std::uint8_t* row = mask.row(y);
  const std::uint8_t* end = row + mask.width;
  for (const std::uint8_t* p = std::find(row, end, value); p != end; p = std::find(p, end, value)) {
    const std::uint8_t* last = std::find_if(p, end, [&](std::uint8_t pixel) { return pixel != value; });
    runs.push_back({.y = y, .first = static_cast<int>(p - row), .end = static_cast<int>(last - row)});
    p = last;
  }
}

// `reach`: 1 where pixels also touch at a corner, 0 where only at a side.
Regions regions_of(const Image& mask, std::uint8_t value, int reach) {
  Regions regions;
  std::vector<Run>& runs = regions.runs;
  std::vector<std::size_t>& of = regions.of;
  std::size_t above = 0;  // the first run of the row above
  for (int y = 0; y < mask.height; ++y) {
    const std::size_t here = runs.size();
    append_runs(mask, y, value, runs);
    of.resize(runs.size());
    std::iota(of.begin() + static_cast<std::ptrdiff_t>(here), of.end(), here);
    for (std::size_t a = above, b = here; a < here && b < runs.size();) {
      if (runs[a].first < runs[b].end + reach && runs[b].first < runs[a].end + reach) join(of, a, b);
      ++(runs[a].end < runs[b].end ? a : b);
    }
    above = here;
  }
  regions.pixels.resize(runs.size());
  regions.at_border.resize(runs.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::size_t root = of[i] = root_of(of, i);
    const Run& run = runs[i];
    regions.pixels[root] += run.end - run.first;
    if (run.y == 0 || run.y == mask.height - 1 || run.first == 0 || run.end == mask.width)
      regions.at_border[root] = true;
  }
  return regions;
}

// Writes `value` into the regions that `chosen` holds for.
template <typename Chosen>
void repaint(Image& mask, const Regions& regions, std::uint8_t value, const Chosen& chosen) {
  for (std::size_t i = 0; i < regions.runs.size(); ++i) {
    if (!chosen(regions.of[i])) continue;
    const Run& run = regions.runs[i];
    std::fill(mask.row(run.y) + run.first, mask.row(run.y) + run.end, value);
  }
}

Regions lesions_of(const Image& mask) {
  return regions_of(mask, 255, 1);
}

}  // namespace

void fill_holes(Image& mask) {
  check_mask(mask);
  const Regions background = regions_of(mask, 0, 0);
  repaint(mask, background, 255, [&](std::size_t region) { return !background.at_border[region]; });
}

void remove_small_regions(Image& mask, std::int64_t least_pixels) {
  check_mask(mask);
  const Regions lesions = lesions_of(mask);
  repaint(mask, lesions, 0, [&](std::size_t region) { return lesions.pixels[region] < least_pixels; });
}

void keep_largest_region(Image& mask) {
  check_mask(mask);
  const Regions lesions = lesions_of(mask);
  const auto largest =
      static_cast<std::size_t>(std::max_element(lesions.pixels.begin(), lesions.pixels.end()) - lesions.pixels.begin());
  repaint(mask, lesions, 0, [&](std::size_t region) { return region != largest; });
}

}  // namespace dermatome::data

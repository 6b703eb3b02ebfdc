// Histograms of masks.
#include "data/mask_values.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace dermatome::data {
namespace {

constexpr std::size_t kNearEnd = 16;
constexpr std::size_t kListed = 8;
constexpr int kFlat = 9;

using Histogram = std::array<std::size_t, 256>;

// Values just above black and just below white come together from compression or resampling; class numbers or an
// ignored border of 255 come without the one or the other.
bool scatters_at_both_ends(const Histogram& histogram) {
  const auto present = [](std::size_t count) { return count > 0; };
  return std::any_of(histogram.begin() + 1, histogram.begin() + 1 + kNearEnd, present) &&
         std::any_of(histogram.end() - 1 - kNearEnd, histogram.end() - 1, present);
}

void merge_ends(Histogram& histogram) {
  for (std::size_t v = 1; v <= kNearEnd; ++v) {
    histogram[0] += std::exchange(histogram[v], std::size_t{0});
    histogram[255] += std::exchange(histogram[255 - v], std::size_t{0});
  }
}

bool is_between(std::size_t value) {
  return value > kNearEnd && value < 255 - kNearEnd;
}

// The values between black and white that fill a square of kFlat pixels a side somewhere. Edges never do, nor blocks of
// JPEG, of 8 pixels.
std::array<bool, 256> flat_values(const Image& mask) {
  std::array<bool, 256> flat{};
  const auto width = static_cast<std::size_t>(mask.width);
  std::vector<int> above(width, 0);  // side of the largest square of one value that ends at each pixel of a row
  std::vector<int> here(width, 1);
  for (int y = 0; y < mask.height; ++y) {
    const std::uint8_t* row = mask.pixels.data() + mask.offset(0, y);
    for (std::size_t x = 0; x < width; ++x) {
      const bool grows =
          x > 0 && y > 0 && row[x] == row[x - 1] && std::equal(row + x - 1, row + x + 1, row + x - 1 - width);
      here[x] = grows ? 1 + std::min({here[x - 1], above[x], above[x - 1]}) : 1;
      if (here[x] >= kFlat && is_between(row[x])) flat[row[x]] = true;
    }
    here.swap(above);
  }
  return flat;
}

// Those that hold 1 % of the pixels, and smaller ones that are areas all the same.
std::vector<std::uint8_t> dominant_values(const Histogram& histogram, const Image& mask) {
  const auto is_frequent = [&](std::size_t v) { return histogram[v] > 0 && histogram[v] * 100 >= mask.pixels.size(); };
  std::array<bool, 256> dominant{};
  bool rare_areas = false;  // perhaps
  for (std::size_t v = 0; v < histogram.size(); ++v) {
    dominant[v] = is_frequent(v);
    rare_areas = rare_areas || (!dominant[v] && is_between(v) && histogram[v] >= std::size_t{kFlat} * kFlat);
  }
  const auto flat = rare_areas ? flat_values(mask) : std::array<bool, 256>{};
  std::vector<std::uint8_t> values;
  for (std::size_t v = 0; v < histogram.size(); ++v) {
    if (dominant[v] || flat[v]) values.push_back(static_cast<std::uint8_t>(v));
  }
  return values;
}

}  // namespace

MaskValues inspect_mask(const Image& mask) {
  check_mask(mask);
  Histogram histogram{};
  for (const std::uint8_t value : mask.pixels) ++histogram[value];
  MaskValues values;
  values.only_black_and_white = histogram[0] + histogram[255] == mask.pixels.size();
  values.distinct = static_cast<int>(std::count_if(histogram.begin(), histogram.end(), [](auto n) { return n > 0; }));
  if (scatters_at_both_ends(histogram)) merge_ends(histogram);
  values.dominant = dominant_values(histogram, mask);
  return values;
}

void check_two_classes(const MaskValues& values, const Image& mask, std::string_view name) {
  const std::span<const std::uint8_t> dominant(values.dominant);
  DERMATOME_CHECK(dominant.size() <= 2,
                  "{} is no lesion mask: it has areas of {} values ({}{}), where a mask has two, 0 and 255", name,
                  dominant.size(), fmt::join(dominant.first(std::min(dominant.size(), kListed)), ", "),
                  dominant.size() > kListed ? ", ..." : "");
  const std::uint8_t largest = *std::max_element(mask.pixels.begin(), mask.pixels.end());
  DERMATOME_CHECK(largest == 0 || largest > 127,
                  "{} is no lesion mask: its largest value is {}, where a lesion is 255 (or 1 on 0)", name, largest);
}

}  // namespace dermatome::data

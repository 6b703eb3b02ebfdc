// Photographs that show the same picture: copies at other sizes and qualities, with other colours, turned, mirrored, or
// cropped a little; and the same lesion taken twice from one place.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/image/image.h"
#include "data/image/orientation.h"
#include "data/parallel.h"

namespace dermatome::data {

// What is compared: the photograph squashed to 64 x 64 greys, upright.
struct Fingerprint {
  static constexpr int kSide = 64;
  std::array<std::uint8_t, std::size_t{kSide} * kSide> grey{};

  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

// Of an RGB image of kSide x kSide pixels, as prepare_photograph gives it (luma of ITU-R BT.601, in whole numbers).
Fingerprint fingerprint_of(const Image& image);

// Of a photograph's file; throws Error naming it as prepare_photograph does.
Fingerprint fingerprint_of(std::span<const std::uint8_t> bytes, std::string_view name);

// Two of the photographs, first < second.
struct NearDuplicate {
  std::size_t first = 0;
  std::size_t second = 0;
  double likeness = 0;                      // correlation of their details when laid over each other, up to 1
  Orientation turn = Orientation::upright;  // of the second, to lie like the first
};

// Pairs whose likeness is kSameLikeness at least, sorted. Details are what remains when each pixel's surroundings (7 x
// 7) are taken away, so that having a dark spot on bright skin in common counts for little; the second is turned in all
// eight ways, moved by up to a tenth of its side and stretched, until it fits best. Of photographs with equal greys the
// first stands for all: it makes a pair with each, and the others make no further ones. Photographs without any
// contrast are left out. The time goes with the square of the number; what `progress` throws ends the work. Same result
// on every machine.
inline constexpr double kSameLikeness = 0.9;
std::vector<NearDuplicate> find_near_duplicates(std::span<const Fingerprint> photographs,
                                                const Progress& progress = {});

}  // namespace dermatome::data

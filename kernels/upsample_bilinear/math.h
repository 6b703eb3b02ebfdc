// Bilinear sampling with half-pixel centres, the arithmetic: as PyTorch's interpolate(mode="bilinear",
// align_corners=False, antialias=False).
#pragma once

#include <cstdint>

#include "kernels/launch/host_device.h"

namespace dermatome::upsample_bilinear {

enum Attribute { kHeight, kWidth };

inline namespace DERMATOME_ISA {

// The two source positions of one target position along one axis, and the share of the second.
struct Tap {
  std::int64_t low;
  std::int64_t high;
  double share;
};

DERMATOME_HD Tap tap_of(std::int64_t target, std::int64_t target_extent, std::int64_t source_extent) {
  const double scale = static_cast<double>(source_extent) / static_cast<double>(target_extent);
  const double centre = (static_cast<double>(target) + 0.5) * scale - 0.5;
  const double position = centre < 0 ? 0 : centre;
  const auto floor = static_cast<std::int64_t>(position);
  const std::int64_t low = floor < source_extent - 1 ? floor : source_extent - 1;
  return {low, low < source_extent - 1 ? low + 1 : low, position - static_cast<double>(low)};
}

template <typename T>
DERMATOME_HD T mix(T low, T high, T share) {
  return low * (T(1) - share) + high * share;
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::upsample_bilinear

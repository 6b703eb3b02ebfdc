// Noise and rectangles.
#include "tools/measurement/made_up.h"

#include "engine/core/philox.h"

namespace dermatome::measurement {

MadeUpPhotographs made_up_photographs(std::size_t count, int size, std::uint64_t seed) {
  const auto pixels = static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
  Philox random(seed);
  MadeUpPhotographs made{std::vector<std::uint8_t>(count * pixels * 3), std::vector<std::uint8_t>(count * pixels)};
  for (auto& value : made.images) value = static_cast<std::uint8_t>(random.next() >> 24);
  for (std::size_t i = 0; i < made.masks.size(); ++i) made.masks[i] = i % pixels < pixels / 4 ? 255 : 0;
  return made;
}

}  // namespace dermatome::measurement

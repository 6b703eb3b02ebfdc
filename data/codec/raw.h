// A picture with every value that its file holds: for masks, whose values must not be rounded.
#pragma once

#include <cstdint>
#include <vector>

namespace dermatome::data {

// Low bit depths and palettes expanded; samples interleaved: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
struct RawPicture {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<std::uint16_t> samples{};
  int bits = 8;  // 8 or 16
};

}  // namespace dermatome::data

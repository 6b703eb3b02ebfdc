// The golden state: every weight, the image and the target from a counter-based formula, so that no file carries them.
// make_golden.py computes the same in Python; its rules are stored in unet34.json.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/shape.h"

namespace dermatome::golden {

inline const Shape kImageShape{2, 64, 64, 3};  // as the engine holds it; PyTorch's order is [2, 3, 64, 64]

// 64-bit FNV-1a.
inline std::uint64_t hash_of(std::string_view key) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

// The i-th number of a key, in [0, 1): splitmix64.
inline double uniform(std::uint64_t hash, std::uint64_t i) {
  std::uint64_t z = hash + (i + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

// u of a key becomes scale * (2u - 1) + offset: the rules about kinds of tensors.
struct Range {
  double offset = 0;
  double scale = 1;  // half the width
};

inline Range range_of(const std::string& key, const Shape& shape) {
  if (key == "image") return {.scale = 2};
  const auto dot = key.rfind('.');
  const std::string module = key.substr(0, dot);
  const std::string kind = key.substr(dot + 1);
  const std::string last = module.substr(module.rfind('.') + 1);
  if (kind == "running_mean") return {.scale = 0.1};
  if (kind == "running_var") return {.offset = 1, .scale = 0.5};
  if (last.starts_with("bn") || module.ends_with("downsample.1")) {
    if (kind == "bias") return {.scale = 0.2};
    const double gain = key.ends_with(".bn2.weight") ? 0.3 : 1;
    return {.offset = gain, .scale = gain / 2};
  }
  if (kind == "bias") return {.scale = 0.1};
  if (shape.rank() == 2) return {.scale = 1 / std::sqrt(static_cast<double>(shape[1]))};
  const bool transposed = module == "up5" || last == "tr_conv";
  return {.scale = std::sqrt(6 / static_cast<double>(transposed ? shape[0] : shape[1] * shape[2] * shape[3]))};
}

// The tensor of a key in PyTorch's layout.
inline std::vector<float> values_of(const std::string& key, const Shape& shape) {
  const Range range = range_of(key, shape);
  const std::uint64_t hash = hash_of(key);
  std::vector<float> values(static_cast<std::size_t>(shape.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(range.offset + (2 * uniform(hash, i) - 1) * range.scale);
  }
  return values;
}

// [2, 64, 64, 3] out of PyTorch's [2, 3, 64, 64].
inline std::vector<float> image() {
  const auto planes = values_of("image", {2, 3, 64, 64});
  std::vector<float> pixels(planes.size());
  for (std::size_t n = 0; n < 2; ++n)
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t i = 0; i < 64 * 64; ++i) pixels[(n * 64 * 64 + i) * 3 + c] = planes[(n * 3 + c) * 64 * 64 + i];
  return pixels;
}

// [2, 64, 64, 1]: a disc in each image.
inline std::vector<float> target() {
  std::vector<float> mask;
  for (int n = 0; n < 2; ++n)
    for (int y = 0; y < 64; ++y)
      for (int x = 0; x < 64; ++x) {
        const int dx = x - (n == 0 ? 32 : 20);
        const int dy = y - (n == 0 ? 30 : 40);
        const int radius = n == 0 ? 20 : 12;
        mask.push_back(dx * dx + dy * dy < radius * radius ? 1.0f : 0.0f);
      }
  return mask;
}

}  // namespace dermatome::golden

// What the training tests share: a network of two groups, photographs with discs on them, and a store ready to train.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "data/codec.h"
#include "data/dataset.h"
#include "engine/graph/state_store.h"
#include "tests/data/support.h"
#include "tools/training/checkpoint.h"
#include "tools/training/networks.h"

namespace dermatome::training::testing {

using data::testing::expect_error;
using data::testing::TemporaryFolder;

inline constexpr Device kCpuDevice{DeviceKind::cpu, 0};

inline constexpr const char* kTwoGroups = R"(model tiny(image: 3 channels, sides divisible by 4) {
  group early
  conv1 = conv2d(image, 4, kernel=3, stride=2, pad=1, bias=false)
  bn1   = batch_norm(conv1)

  group late
  conv2 = conv2d(relu(bn1), 4, kernel=3, pad=1)
  bn2   = batch_norm(conv2)
  out   = conv_transpose2d(relu(bn2), 1, kernel=2, stride=2)
  return out
}
)";

inline Model two_groups() {
  return Model::parse(kTwoGroups, "tiny.graph");
}

inline std::vector<std::uint8_t> bytes_of(const Tensor& tensor) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(tensor.data());
  return {data, data + tensor.bytes()};
}

inline std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A photograph with a dark disc whose place and radius come from the seed, and its mask.
struct Pair {
  data::Image photograph, mask;
};

inline Pair disc_pair(int width, int height, std::uint64_t seed) {
  Philox random(seed);
  Pair pair{.photograph = data::testing::random_image(width, height, 3, seed),
            .mask = data::make_image(width, height, 1)};
  const double side = std::min(width, height);
  const double cx = width * (0.4 + 0.2 * static_cast<double>(random.uniform()));
  const double cy = height * (0.4 + 0.2 * static_cast<double>(random.uniform()));
  const double radius = side * (0.15 + 0.2 * static_cast<double>(random.uniform()));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      if ((x - cx) * (x - cx) + (y - cy) * (y - cy) > radius * radius) continue;
      pair.mask.pixels[pair.mask.offset(x, y)] = 255;
      for (int c = 0; c < 3; ++c)
        pair.photograph.pixels[pair.photograph.offset(x, y) + static_cast<std::size_t>(c)] /= 4;
    }
  }
  return pair;
}

// `count` pairs below the folder, named by `prefix`.
inline std::vector<data::Sample> add_samples(const TemporaryFolder& folder, const std::string& prefix, int count,
                                             int side = 40) {
  std::vector<data::Sample> samples;
  for (int i = 0; i < count; ++i) {
    const std::string id = fmt::format("{}{}", prefix, i);
    const Pair pair = disc_pair(side + 4 * i, side, static_cast<std::uint64_t>(i) + prefix.size() * 100);
    samples.push_back({.id = id, .image = folder / (id + ".png"), .mask = folder / (id + "_mask.png")});
    data::write_png(samples.back().image, pair.photograph);
    data::write_png(samples.back().mask, pair.mask);
  }
  return samples;
}

}  // namespace dermatome::training::testing

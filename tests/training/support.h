// What the training tests share: a network of two groups, photographs with discs on them, and a store ready to train.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "data/codec.h"
#include "data/dataset.h"
#include "engine/core/threads.h"
#include "engine/graph/state_store.h"
#include "tests/data/support.h"
#include "tools/training/checkpoint.h"
#include "tools/training/log.h"
#include "tools/training/networks.h"
#include "tools/training/trainer.h"

namespace dermatome::training::testing {

using data::testing::expect_error;
using data::testing::expect_listed;
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

// Trains that network on five pictures, validating on three, into runs below a folder that vanishes.
class TrainingTest : public ::testing::Test {
 protected:
  TrainingTest() {
    set_threads(1);
    folder_.add("tiny.graph", std::string_view(kTwoGroups));
    data_ = {.train = add_samples(folder_, "t", 5), .validation = add_samples(folder_, "val", 3)};
  }

  TrainOptions options(const std::string& run, const Recipe& recipe) const {
    return {.recipe = recipe, .run = folder_ / run, .device = kCpuDevice, .compile = {}};
  }

  TrainingResult start(const std::string& run, const Recipe& recipe, const TrainingObserver& observer = {}) const {
    std::filesystem::create_directories(folder_ / run);
    return train(options(run, recipe), data_, observer);
  }

  // All that a run tells of its epochs but the times.
  void expect_same_epochs(const std::string& a, const std::string& b) const {
    const auto rows_a = read_epoch_log(folder_ / a / "log.csv");
    const auto rows_b = read_epoch_log(folder_ / b / "log.csv");
    ASSERT_EQ(rows_a.size(), rows_b.size());
    for (std::size_t i = 0; i < rows_a.size(); ++i) {
      EXPECT_EQ(rows_a[i].epoch, rows_b[i].epoch);
      EXPECT_EQ(rows_a[i].stage, rows_b[i].stage);
      EXPECT_EQ(rows_a[i].learning_rate, rows_b[i].learning_rate);
      EXPECT_EQ(rows_a[i].train_loss, rows_b[i].train_loss);
      EXPECT_EQ(rows_a[i].train_jaccard, rows_b[i].train_jaccard);
      EXPECT_EQ(rows_a[i].validation_loss, rows_b[i].validation_loss);
      EXPECT_EQ(rows_a[i].validation_jaccard, rows_b[i].validation_jaccard);
      EXPECT_EQ(rows_a[i].validation_dice, rows_b[i].validation_dice);
      EXPECT_GT(rows_b[i].images_per_second, 0);
    }
  }

  TemporaryFolder folder_;
  TrainingData data_;
};

}  // namespace dermatome::training::testing

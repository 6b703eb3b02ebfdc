// From the network's map to the photograph's grid: values, box, area and means.
#include "tools/training/predictor_grid.h"

#include <gtest/gtest.h>

#include <numeric>

#include "engine/compile/program.h"
#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;
using data::Orientation;

std::vector<float> random_map(int size, std::uint64_t seed) {
  std::vector<float> map;
  Philox random(seed);
  for (int i = 0; i < size * size; ++i) map.push_back(random.uniform());
  return map;
}

TEST(StoredGrid, GrowsAsTheUpsamplingOperationDoes) {
  for (const auto& [width, height] : {std::pair{37, 50}, {16, 16}, {17, 5}, {300, 1}, {64, 128}}) {
    const auto map = random_map(16, 5);
    const auto prediction = to_stored_grid(map, 16, {.width = width, .height = height}, 0.5, true);
    Graph graph;
    Builder builder(graph);
    const Value x = graph.add_input("x", {DType::f32, {1, 16, 16, 1}});
    graph.mark_output("y", builder.call("upsample_bilinear", {x},
                                        {{"height", std::int64_t{height}}, {"width", std::int64_t{width}}}));
    StateStore store;
    Program program(std::move(graph), kCpuDevice, store, {});
    program.input("x").copy_from(tensor_of<float>(map, {1, 16, 16, 1}));
    program.run();
    const auto expected = program.output("y").as<float>();
    ASSERT_EQ(prediction.probability.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(prediction.probability[i], expected[i], 1e-6) << width << 'x' << height;
  }
}

TEST(StoredGrid, FiguresFollowFromTheFullMap) {
  const auto prediction = to_stored_grid(random_map(8, 2), 8, {.width = 53, .height = 41}, 0.7, true);
  std::int64_t lesion = 0;
  double sum = 0, lesion_sum = 0;
  Box box{.left = 99, .top = 99};
  for (int y = 0; y < 41; ++y) {
    for (int x = 0; x < 53; ++x) {
      const float p = prediction.probability[prediction.mask.offset(x, y)];
      ASSERT_EQ(prediction.mask.pixels[prediction.mask.offset(x, y)], p > 0.7f ? 255 : 0);
      sum += static_cast<double>(p);
      if (p <= 0.7f) continue;
      ++lesion;
      lesion_sum += static_cast<double>(p);
      box = {std::min(box.left, x), std::min(box.top, y), std::max(box.right, x + 1), std::max(box.bottom, y + 1)};
    }
  }
  ASSERT_GT(lesion, 0);
  EXPECT_EQ(prediction.lesion_pixels, lesion);
  EXPECT_EQ(prediction.box, box);
  EXPECT_NEAR(prediction.area_share(), static_cast<double>(lesion) / (53 * 41), 1e-12);
  EXPECT_NEAR(prediction.mean_probability, sum / (53 * 41), 1e-6);
  EXPECT_NEAR(prediction.lesion_probability, lesion_sum / static_cast<double>(lesion), 1e-6);
  EXPECT_TRUE(to_stored_grid(random_map(8, 2), 8, {.width = 53, .height = 41}, 0.7).probability.empty());
}

TEST(StoredGrid, OfAnEmptyPrediction) {
  const auto prediction = to_stored_grid(std::vector<float>(64, 0.25f), 8, {.width = 9, .height = 7}, 0.5);
  EXPECT_TRUE(prediction.is_empty());
  EXPECT_EQ(prediction.box, Box{});
  EXPECT_EQ(prediction.area_share(), 0);
  EXPECT_NEAR(prediction.mean_probability, 0.25, 1e-7);
  EXPECT_EQ(prediction.lesion_probability, 0);
}

TEST(StoredGrid, OneLesionPixelHasABoxOfOne) {
  std::vector<float> map(16, 0);
  map[6] = 1;
  const auto prediction = to_stored_grid(map, 4, {.width = 4, .height = 4}, 0.5);
  EXPECT_EQ(prediction.box, (Box{.left = 2, .top = 1, .right = 3, .bottom = 2}));
  EXPECT_EQ(prediction.lesion_pixels, 1);
  EXPECT_EQ(prediction.lesion_probability, 1);
}

TEST(StoredGrid, IsTurnedAsTheFileIsStored) {
  for (int o = 1; o <= 8; ++o) {
    const auto orientation = static_cast<Orientation>(o);
    const bool swapped = data::swaps_sides(orientation);
    const auto map = random_map(8, 3);
    const auto upright = to_stored_grid(map, 8, {.width = swapped ? 20 : 31, .height = swapped ? 31 : 20}, 0.5, true);
    const auto stored = to_stored_grid(map, 8, {.width = 31, .height = 20, .orientation = orientation}, 0.5, true);
    const auto expected =
        data::turned<float>(upright.probability, upright.width, upright.height, 1, data::inverse(orientation));
    ASSERT_EQ(stored.probability.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(stored.probability[i], expected[i], 1e-6) << o;
    EXPECT_NEAR(stored.mean_probability, upright.mean_probability, 1e-9);
  }
}

TEST(StoredGrid, NeedsAMapOfItsSize) {
  expect_error([] { to_stored_grid(std::vector<float>(15), 4, {.width = 4, .height = 4}, 0.5); },
               {"15 probabilities", "4x4"});
}

ProbabilityMap map_of(std::vector<float> values, int width, int height) {
  return {.width = width, .height = height, .values = std::move(values)};
}

TEST(StoredGrid, TakesTheMeanOfSeveralMapsOfAnySize) {
  const std::vector<ProbabilityMap> maps{map_of(random_map(8, 1), 8, 8), map_of(random_map(16, 2), 16, 16),
                                         map_of(random_map(8, 3), 8, 8)};
  const data::StoredGrid grid{.width = 31, .height = 20, .orientation = data::Orientation::quarter_clockwise};
  const auto together = to_stored_grid(maps, grid, 0.5, true);
  std::vector<double> mean(together.probability.size());
  double mean_probability = 0;
  for (const auto& map : maps) {
    const auto alone = to_stored_grid(std::span(&map, 1), grid, 0.5, true);
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += static_cast<double>(alone.probability[i]) / 3;
    mean_probability += alone.mean_probability / 3;
  }
  std::int64_t lesion = 0;
  for (std::size_t i = 0; i < mean.size(); ++i) {
    ASSERT_NEAR(together.probability[i], mean[i], 1e-6) << i;
    EXPECT_EQ(together.mask.pixels[i], together.probability[i] > 0.5f ? 255 : 0);
    lesion += together.mask.pixels[i] == 255;
  }
  EXPECT_EQ(together.lesion_pixels, lesion);
  EXPECT_NEAR(together.mean_probability, mean_probability, 1e-6);
}

TEST(StoredGrid, TheMeanOfEqualMapsIsThatMap) {
  const auto map = map_of(random_map(8, 4), 8, 8);
  const std::vector<ProbabilityMap> three{map, map, map};
  const auto alone = to_stored_grid(std::span(&map, 1), {.width = 19, .height = 23}, 0.5, true);
  EXPECT_EQ(to_stored_grid(three, {.width = 19, .height = 23}, 0.5, true).probability, alone.probability);
}

TEST(StoredGrid, AMapNeedNotBeSquare) {
  std::vector<float> values;
  for (int i = 0; i < 6; ++i) values.push_back(static_cast<float>(i) / 10);
  const auto map = map_of(values, 3, 2);
  EXPECT_EQ(to_stored_grid(std::span(&map, 1), {.width = 3, .height = 2}, 0.5, true).probability, values);
  expect_error([&] { to_stored_grid({}, {.width = 3, .height = 2}, 0.5); }, {"no map"});
}

}  // namespace
}  // namespace dermatome::training

// Augmentation tables: exact where exactness is promised, inside their ranges, and the same bits everywhere.
#include "data/augmentation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>

#include "engine/core/error.h"

namespace dermatome::data {
namespace {

constexpr int kSize = 256;

struct Point {
  double x;
  double y;
};

Point source_of(const AugmentationTable& t, double x, double y) {
  return {static_cast<double>(t[0]) * x + static_cast<double>(t[1]) * y + static_cast<double>(t[2]),
          static_cast<double>(t[3]) * x + static_cast<double>(t[4]) * y + static_cast<double>(t[5])};
}

std::vector<AugmentationTable> tables_of(const AugmentationSettings& settings, std::uint32_t count, int size = kSize) {
  std::vector<AugmentationTable> tables;
  for (std::uint32_t i = 0; i < count; ++i) tables.push_back(draw_table(settings, 7, 1, i, size));
  return tables;
}

double share_of(const std::vector<AugmentationTable>& tables,
                const std::function<bool(const AugmentationTable&)>& test) {
  return static_cast<double>(std::count_if(tables.begin(), tables.end(), test)) / static_cast<double>(tables.size());
}

AugmentationSettings only(const std::function<void(AugmentationSettings&)>& change) {
  AugmentationSettings settings = AugmentationSettings::none();
  change(settings);
  return settings;
}

std::array<std::uint32_t, 8> bits_of(const AugmentationTable& table) {
  std::array<std::uint32_t, 8> bits{};
  std::transform(table.begin(), table.end(), bits.begin(),
                 [](float value) { return std::bit_cast<std::uint32_t>(value); });
  return bits;
}

TEST(AugmentationTable, WithoutAugmentationIsTheIdentityToTheBit) {
  for (const auto& table : tables_of(AugmentationSettings::none(), 200)) {
    ASSERT_EQ(bits_of(table), bits_of(kIdentityTable));
  }
  EXPECT_EQ(kIdentityTable, (AugmentationTable{1, 0, 0, 0, 1, 0, 0, 1}));
}

TEST(AugmentationTable, OfTurnsAndFlipsIsWholeAndReachesAllEight) {
  const auto settings = only([](auto& s) {
    s.dihedral = true;
    s.flip_probability = 0.5f;
  });
  for (const int size : {1, 5, 256, 511}) {
    std::set<AugmentationTable> seen;
    for (const auto& table : tables_of(settings, 400, size)) {
      seen.insert(table);
      for (const float value : table) {
        ASSERT_EQ(value, std::round(value));
        ASSERT_FALSE(value == 0 && std::signbit(value)) << "equal tables have equal bits";
      }
      std::set<double> corners;
      for (const double x : {0.0, size - 1.0}) {
        for (const double y : {0.0, size - 1.0}) {
          const Point source = source_of(table, x, y);
          ASSERT_TRUE(source.x == 0 || source.x == size - 1);
          ASSERT_TRUE(source.y == 0 || source.y == size - 1);
          corners.insert(source.x * size + source.y);
        }
      }
      ASSERT_EQ(corners.size(), size == 1 ? 1u : 4u) << "corners go to corners";
    }
    EXPECT_EQ(seen.size(), 8u);
  }
}

TEST(AugmentationTable, FlipExchangesLeftAndRightHalfOfTheTime) {
  const auto tables = tables_of(only([](auto& s) { s.flip_probability = 0.5f; }), 4000);
  const AugmentationTable flipped{-1, 0, 255, 0, 1, 0, 0, 1};
  EXPECT_NEAR(share_of(tables, [&](const auto& t) { return t == flipped; }), 0.5, 0.03);
  EXPECT_EQ(share_of(tables, [&](const auto& t) { return t == flipped || t == kIdentityTable; }), 1.0);
}

TEST(AugmentationTable, RotationIsUniformAboutTheMiddle) {
  const auto tables = tables_of(only([](auto& s) {
                                  s.rotate_degrees = 44;
                                  s.rotate_probability = 0.75f;
                                }),
                                4000);
  EXPECT_NEAR(share_of(tables, [](const auto& t) { return t != kIdentityTable; }), 0.75, 0.03);
  std::vector<double> degrees;
  for (const auto& table : tables) {
    const Point middle = source_of(table, 127.5, 127.5);
    ASSERT_NEAR(middle.x, 127.5, 1e-4);
    ASSERT_NEAR(middle.y, 127.5, 1e-4);
    ASSERT_NEAR(table[0] * table[4] - table[1] * table[3], 1, 1e-6) << "nothing is scaled or mirrored";
    ASSERT_EQ(table[0], table[4]);
    if (table != kIdentityTable) degrees.push_back(std::atan2(table[1], table[0]) * 180 / 3.14159265358979);
  }
  const auto [low, high] = std::minmax_element(degrees.begin(), degrees.end());
  EXPECT_GE(*low, -44.0001);
  EXPECT_LT(*low, -43);
  EXPECT_LE(*high, 44.0001);
  EXPECT_GT(*high, 43);
  EXPECT_NEAR(std::accumulate(degrees.begin(), degrees.end(), 0.0) / static_cast<double>(degrees.size()), 0, 1.5);
}

TEST(AugmentationTable, RotationAgreesWithTheMathLibraryAtAnyAngle) {
  const auto settings = only([](auto& s) {
    s.rotate_degrees = 180;
    s.rotate_probability = 1;
  });
  for (const auto& table : tables_of(settings, 2000)) {
    const double angle = std::atan2(static_cast<double>(table[1]), static_cast<double>(table[0]));
    ASSERT_NEAR(table[0], std::cos(angle), 1e-7);
    ASSERT_NEAR(table[1], std::sin(angle), 1e-7);
    ASSERT_NEAR(std::hypot(table[0], table[1]), 1, 1e-7);
  }
}

TEST(AugmentationTable, CanRotateAboutTheReferencesPixel) {
  auto settings = only([](auto& s) {
    s.rotate_degrees = 44;
    s.rotate_probability = 1;
    s.rotate_about_whole_pixel = true;
  });
  for (const int size : {5, 256}) {
    const Point centre = source_of(draw_table(settings, 1, 0, 0, size), size / 2, size / 2);
    EXPECT_NEAR(centre.x, size / 2, 1e-4);
    EXPECT_NEAR(centre.y, size / 2, 1e-4);
  }
}

TEST(AugmentationTable, ZoomStaysInsideThePictureAndReachesItsEdges) {
  const auto tables = tables_of(only([](auto& s) {
                                  s.zoom = 1.5f;
                                  s.zoom_probability = 0.75f;
                                }),
                                4000);
  EXPECT_NEAR(share_of(tables, [](const auto& t) { return t != kIdentityTable; }), 0.75, 0.03);
  double least = kSize;
  double most = 0;
  double smallest_scale = 1;
  for (const auto& table : tables) {
    ASSERT_EQ(table[0], table[4]);
    ASSERT_EQ(table[1], 0);
    ASSERT_LE(table[0], 1);
    ASSERT_GE(table[0], 1 / 1.5f - 1e-6f);
    smallest_scale = std::min(smallest_scale, static_cast<double>(table[0]));
    // The outer borders of the corner pixels, half a pixel beyond their centres.
    const Point first = source_of(table, -0.5, -0.5);
    const Point last = source_of(table, kSize - 0.5, kSize - 0.5);
    ASSERT_GE(std::min(first.x, first.y), -0.5 - 1e-4);
    ASSERT_LE(std::max(last.x, last.y), kSize - 0.5 + 1e-4);
    if (table[0] < 0.8f) {
      least = std::min(least, first.x);
      most = std::max(most, last.x);
    }
  }
  EXPECT_LT(smallest_scale, 0.67);
  EXPECT_LT(least, 1);
  EXPECT_GT(most, kSize - 2);
}

TEST(AugmentationTable, ZoomDoesNothingWhereNothingIsCropped) {
  AugmentationSettings zooming = AugmentationSettings::none();
  zooming.zoom = 1.5f;
  zooming.zoom_probability = 1;
  EXPECT_NE(draw_table(zooming, 7, 1, 0, kSize), kIdentityTable);
  zooming.zoom_crop = false;
  for (const auto& table : tables_of(zooming, 20)) EXPECT_EQ(table, kIdentityTable);
  // The other draws stay what they are.
  AugmentationSettings all, without_crop, without_zoom;
  without_crop.zoom_crop = false;
  without_zoom.zoom_probability = 0;
  EXPECT_EQ(tables_of(without_crop, 20), tables_of(without_zoom, 20));
  EXPECT_NE(tables_of(without_crop, 20), tables_of(all, 20));
}

TEST(AugmentationTable, LightingFollowsTheRecipe) {
  const auto tables = tables_of(only([](auto& s) { s.lighting = 0.05f; }), 4000);
  double lowest = 1;
  double highest = 0;
  for (const auto& table : tables) {
    ASSERT_LE(std::abs(table[6]), 0.05f);
    lowest = std::min<double>(lowest, table[7]);
    highest = std::max<double>(highest, table[7]);
    ASSERT_EQ(table[0], 1) << "the geometry is left alone";
  }
  EXPECT_GE(lowest, 1 / 1.05 - 1e-6);
  EXPECT_LT(lowest, 1 / 1.05 + 1e-3);
  EXPECT_LE(highest, 1.05 + 1e-6);
  EXPECT_GT(highest, 1.05 - 1e-3);
  EXPECT_NEAR(share_of(tables, [](const auto& t) { return t[6] > 0; }), 0.5, 0.03);
  EXPECT_NEAR(share_of(tables, [](const auto& t) { return t[7] > 1; }), 0.5, 0.03);
}

// Worked out by an independent program: Philox in whole numbers, the maps composed point by point with libm's sin and
// cos in double, then rounded to f32.
TEST(AugmentationTable, HasTheSameBitsOnEveryMachine) {
  EXPECT_EQ(
      bits_of(draw_table({}, 2018, 3, 7, 256)),
      (std::array<std::uint32_t, 8>{0x0, 0x3f787cb7, 0x40c1f21e, 0x3f787cb7, 0x0, 0x40ae62da, 0x3c0f30da, 0x3f835b8e}));
  EXPECT_EQ(bits_of(draw_table({}, 2018, 0, 5, 256)),
            (std::array<std::uint32_t, 8>{0xbf2db850, 0x3f3469fe, 0x42f55ebf, 0x3f3469fe, 0x3f2db850, 0xc2480867,
                                          0xbd1bc610, 0x3f7be093}));
  EXPECT_EQ(
      bits_of(draw_table({}, 1, 0, 0, 128)),
      (std::array<std::uint32_t, 8>{0xbf76f6a4, 0x0, 0x42fc384a, 0x0, 0xbf76f6a4, 0x42f6a18c, 0xbd206853, 0x3f7d8078}));
  EXPECT_EQ(bits_of(draw_table({}, 0xFFFFFFFFFFFF, 16777215, 0xFFFFFFFF, 512)),
            (std::array<std::uint32_t, 8>{0x3de6c3de, 0xbf795879, 0x43ebcd45, 0x3f795879, 0x3de6c3de, 0xc18f7896,
                                          0xbc9ab960, 0x3f837d23}));
}

TEST(AugmentationTable, DependsOnNothingButItsArguments) {
  std::set<AugmentationTable> seen;
  for (const std::uint64_t seed : {1u, 2u}) {
    for (const std::int64_t epoch : {0, 1}) {
      for (const std::uint32_t sample : {0u, 1u}) {
        const auto table = draw_table({}, seed, epoch, sample, kSize);
        EXPECT_EQ(table, draw_table({}, seed, epoch, sample, kSize));
        seen.insert(table);
      }
    }
  }
  EXPECT_EQ(seen.size(), 8u) << "seed, epoch and sample all count";
}

TEST(AugmentationTable, OneSettingDoesNotMoveTheDrawsOfAnother) {
  AugmentationSettings without = {};
  without.zoom_probability = 0;
  without.rotate_probability = 0;
  const auto all = draw_table({}, 5, 2, 9, kSize);
  const auto fewer = draw_table(without, 5, 2, 9, kSize);
  EXPECT_EQ(all[6], fewer[6]);
  EXPECT_EQ(all[7], fewer[7]);
}

TEST(AugmentationSettings, OutsideTheirRangeAreUsageErrors) {
  const auto refused = [](const std::function<void(AugmentationSettings&)>& change, const std::string& name) {
    AugmentationSettings settings;
    change(settings);
    try {
      draw_table(settings, 0, 0, 0, kSize);
      ADD_FAILURE() << name << " was taken";
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  };
  refused([](auto& s) { s.zoom = 0.9f; }, "zoom");
  refused([](auto& s) { s.rotate_degrees = 181; }, "rotate_degrees");
  refused([](auto& s) { s.flip_probability = 1.1f; }, "flip_probability");
  refused([](auto& s) { s.lighting = 1; }, "lighting");
  refused([](auto& s) { s.zoom_probability = std::nanf(""); }, "zoom_probability");
  EXPECT_THROW(draw_table({}, 0, -1, 0, kSize), Error);
  EXPECT_THROW(draw_table({}, 0, 1 << 24, 0, kSize), Error);
  EXPECT_THROW(draw_table({}, 0, 0, 0, 0), Error);
}

TEST(EpochOrder, IsAPermutationThatChangesWithSeedAndEpoch) {
  auto order = epoch_order(1000, 3, 4);
  EXPECT_EQ(order, epoch_order(1000, 3, 4));
  EXPECT_NE(order, epoch_order(1000, 3, 5));
  EXPECT_NE(order, epoch_order(1000, 4, 4));
  std::sort(order.begin(), order.end());
  for (std::uint32_t i = 0; i < 1000; ++i) ASSERT_EQ(order[i], i);
  EXPECT_TRUE(epoch_order(0, 1, 0).empty());
  EXPECT_EQ(epoch_order(1, 1, 0), std::vector<std::uint32_t>{0});
  EXPECT_EQ(epoch_order(10, 2018, 4), (std::vector<std::uint32_t>{8, 0, 9, 6, 4, 5, 3, 2, 7, 1}));
}

TEST(EpochOrder, PutsEverySampleEverywhereAlikeOften) {
  std::array<std::array<int, 4>, 4> counts{};
  for (int epoch = 0; epoch < 4000; ++epoch) {
    const auto order = epoch_order(4, 11, epoch);
    for (std::size_t place = 0; place < 4; ++place) ++counts[order[place]][place];
  }
  for (const auto& sample : counts) {
    for (const int count : sample) EXPECT_NEAR(count, 1000, 120);
  }
}

}  // namespace
}  // namespace dermatome::data

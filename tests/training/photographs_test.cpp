// Photographs of a stage, on the device or brought there ahead of each step.
#include "tools/training/photographs.h"

#include <gtest/gtest.h>

#include "tests/data/support.h"
#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using testing::expect_error;

constexpr std::int64_t kSize = 2;
constexpr Device kCpuDevice{DeviceKind::cpu, 0};

// Photograph i is filled with 10 i, its mask with i.
PhotographSet set_of(std::uint8_t count, bool on_device, std::int64_t batch) {
  std::vector<std::uint8_t> photographs, masks;
  for (std::uint8_t i = 0; i < count; ++i) {
    photographs.insert(photographs.end(), kSize * kSize * 3, static_cast<std::uint8_t>(10 * i));
    masks.insert(masks.end(), kSize * kSize, i);
  }
  return {photographs, masks, kSize, kCpuDevice, on_device, batch};
}

void expect_placed(PhotographSet& set, const std::vector<std::uint32_t>& samples) {
  const auto rows = set.place(samples);
  ASSERT_EQ(rows.size(), samples.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<std::size_t>(rows[i]);
    for (std::size_t p = 0; p < kSize * kSize; ++p) {
      EXPECT_EQ(set.masks().as<std::uint8_t>()[row * kSize * kSize + p], samples[i]);
      for (std::size_t c = 0; c < 3; ++c)
        EXPECT_EQ(set.images().as<std::uint8_t>()[(row * kSize * kSize + p) * 3 + c], 10 * samples[i]);
    }
  }
}

TEST(Photographs, OnTheDeviceAreAllThere) {
  PhotographSet set = set_of(5, true, 0);
  EXPECT_EQ(set.count(), 5);
  EXPECT_EQ(set.rows(), 5);
  expect_placed(set, {4, 0, 3});
}

TEST(Photographs, OfTheHostAreBroughtABatchAtATime) {
  PhotographSet set = set_of(7, false, 3);
  EXPECT_EQ(set.count(), 7);
  EXPECT_EQ(set.rows(), 3);
  const void* memory = set.images().data();
  expect_placed(set, {6, 2, 5});
  set.prefetch(std::vector<std::uint32_t>{1, 4, 0});
  expect_placed(set, {1, 4, 0});
  expect_placed(set, {1, 4, 0});
  set.prefetch(std::vector<std::uint32_t>{3});
  expect_placed(set, {2, 2});
  set.prefetch(std::vector<std::uint32_t>{});
  set.prefetch(std::vector<std::uint32_t>{6, 5, 4});
  expect_placed(set, {6});
  EXPECT_EQ(set.images().data(), memory) << "recorded launches read this memory";
  expect_error([&] { set.place(std::vector<std::uint32_t>{0, 1, 2, 3}); }, {"4 photographs do not fit into 3 rows"});
}

TEST(Photographs, WhatIsPrefetchedIsNotReadBeforeItIsPlaced) {
  PhotographSet set = set_of(4, false, 2);
  expect_placed(set, {0, 1});
  set.prefetch(std::vector<std::uint32_t>{2, 3});
  PhotographSet moved = std::move(set);
  EXPECT_EQ(moved.masks().as<std::uint8_t>()[0], 0);
  expect_placed(moved, {2, 3});
}

TEST(Photographs, FewerThanABatchNeedFewerRows) {
  EXPECT_EQ(set_of(2, false, 16).rows(), 2);
  EXPECT_EQ(set_of(0, false, 16).rows(), 0);
  EXPECT_EQ(PhotographSet().rows(), 0);
}

TEST(Photographs, LieWhereTheyAreToldOrFit) {
  EXPECT_TRUE(lie_on_device(Residence::automatic, std::size_t{1} << 60, kCpuDevice)) << "they are in its memory";
  EXPECT_FALSE(lie_on_device(Residence::host, 1, kCpuDevice));
  EXPECT_EQ(parse_residence("host"), Residence::host);
  expect_error([] { parse_residence("gpu"); }, {"'gpu' is no place"});
}

}  // namespace
}  // namespace dermatome::training

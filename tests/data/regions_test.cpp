// Regions of masks: what is enclosed, what is small, what is largest.
#include "data/image/regions.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::expect_error;

Image mask_of(const std::vector<std::string>& rows) {
  Image mask = make_image(static_cast<int>(rows.front().size()), static_cast<int>(rows.size()), 1);
  for (int y = 0; y < mask.height; ++y) {
    for (int x = 0; x < mask.width; ++x) {
      if (rows[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)] == '#') mask.row(y)[x] = 255;
    }
  }
  return mask;
}

std::vector<std::string> rows_of(const Image& mask) {
  std::vector<std::string> rows;
  for (int y = 0; y < mask.height; ++y) {
    rows.emplace_back();
    for (int x = 0; x < mask.width; ++x) rows.back() += mask.row(y)[x] == 255 ? '#' : '.';
  }
  return rows;
}

using Rows = std::vector<std::string>;

TEST(FillHoles, FillsWhatIsEnclosedAndNotWhatReachesTheBorder) {
  Image mask = mask_of({".....#.", ".###.#.", ".#.#.#.", ".###.##", "......#", "####.#.", "#..#.##", "####..."});
  fill_holes(mask);
  EXPECT_EQ(rows_of(mask),
            (Rows{".....#.", ".###.#.", ".###.#.", ".###.##", "......#", "####.#.", "####.##", "####..."}));
}

TEST(FillHoles, AnOutlineThatRunsByCornersIsClosed) {
  Image mask = mask_of({".....", "..#..", ".#.#.", "..#..", "....."});
  fill_holes(mask);
  EXPECT_EQ(rows_of(mask), (Rows{".....", "..#..", ".###.", "..#..", "....."}));
}

TEST(FillHoles, AnIslandInALakeIsFilledOver) {
  Image mask = mask_of({"#####", "#...#", "#.#.#", "#...#", "#####"});
  fill_holes(mask);
  EXPECT_EQ(rows_of(mask), Rows(5, "#####"));
}

TEST(KeepLargest, CountsCornersAsTouching) {
  Image mask = mask_of({"##....", "##..#.", ".....#", "###.#.", "...#.."});
  keep_largest_region(mask);
  EXPECT_EQ(rows_of(mask), (Rows{"......", "....#.", ".....#", "###.#.", "...#.."}));
}

TEST(KeepLargest, OfEqualOnesKeepsTheFirstFromTheTop) {
  Image mask = mask_of({"....##", "......", "##...."});
  keep_largest_region(mask);
  EXPECT_EQ(rows_of(mask), (Rows{"....##", "......", "......"}));
  Image empty = mask_of({"...", "..."});
  keep_largest_region(empty);
  EXPECT_EQ(rows_of(empty), Rows(2, "..."));
}

TEST(RemoveSmall, KeepsRegionsOfThatManyPixels) {
  Image mask = mask_of({"###..#", "......", "##...."});
  remove_small_regions(mask, 2);
  EXPECT_EQ(rows_of(mask), (Rows{"###...", "......", "##...."}));
  remove_small_regions(mask, 3);
  EXPECT_EQ(rows_of(mask), (Rows{"###...", "......", "......"}));
}

// Regions by flooding, pixel by pixel.
std::vector<int> flooded(const Image& mask, std::uint8_t value, bool corners) {
  std::vector<int> labels(mask.pixels.size(), -1);
  int count = 0;
  for (int start = 0; start < mask.width * mask.height; ++start) {
    const auto at = [&](int p) { return static_cast<std::size_t>(p); };
    if (mask.pixels[at(start)] != value || labels[at(start)] >= 0) continue;
    std::vector<int> queue{start};
    labels[at(start)] = count;
    while (!queue.empty()) {
      const int p = queue.back();
      queue.pop_back();
      for (int dy = -1; dy <= 1; ++dy) {
        for (int dx = -1; dx <= 1; ++dx) {
          const int x = p % mask.width + dx;
          const int y = p / mask.width + dy;
          if (x < 0 || y < 0 || x >= mask.width || y >= mask.height || (!corners && dx != 0 && dy != 0)) continue;
          const int q = y * mask.width + x;
          if (mask.pixels[at(q)] != value || labels[at(q)] >= 0) continue;
          labels[at(q)] = count;
          queue.push_back(q);
        }
      }
    }
    ++count;
  }
  return labels;
}

TEST(Regions, AreThoseOfFloodingOnRandomMasks) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Philox random(seed);
    const int width = 1 + static_cast<int>(random.below(40));
    const int height = 1 + static_cast<int>(random.below(30));
    const std::uint32_t density = 1 + random.below(9);
    Image mask = make_image(width, height, 1);
    for (auto& pixel : mask.pixels) pixel = random.below(10) < density ? 255 : 0;
    const auto labels = flooded(mask, 255, true);
    std::vector<std::int64_t> sizes(mask.pixels.size() + 1);
    for (const int label : labels) {
      if (label >= 0) ++sizes[static_cast<std::size_t>(label)];
    }
    Image largest = mask;
    keep_largest_region(largest);
    const auto kept = std::max_element(sizes.begin(), sizes.end()) - sizes.begin();
    Image small = mask;
    remove_small_regions(small, 4);
    const auto background = flooded(mask, 0, false);
    std::vector<bool> open(mask.pixels.size());
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const int label = background[mask.offset(x, y)];
        if (label >= 0 && (x == 0 || y == 0 || x == width - 1 || y == height - 1))
          open[static_cast<std::size_t>(label)] = true;
      }
    }
    Image filled = mask;
    fill_holes(filled);
    for (std::size_t p = 0; p < mask.pixels.size(); ++p) {
      const int label = labels[p];
      EXPECT_EQ(largest.pixels[p] == 255, label == kept && sizes[static_cast<std::size_t>(kept)] > 0) << seed;
      EXPECT_EQ(small.pixels[p] == 255, label >= 0 && sizes[static_cast<std::size_t>(label)] >= 4) << seed;
      EXPECT_EQ(filled.pixels[p] == 0, background[p] >= 0 && open[static_cast<std::size_t>(background[p])]) << seed;
    }
  }
}

TEST(Regions, TakeOnlyMasks) {
  Image photograph = make_image(3, 3, 3);
  expect_error([&] { fill_holes(photograph); }, {"one channel"});
  expect_error([&] { keep_largest_region(photograph); }, {"one channel"});
  expect_error([&] { remove_small_regions(photograph, 2); }, {"one channel"});
}

}  // namespace
}  // namespace dermatome::data

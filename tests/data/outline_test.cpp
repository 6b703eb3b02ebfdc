// Pictures for reports, pixel by pixel.
#include "data/image/outline.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::expect_error;
constexpr Rgb kRed{255, 0, 0};

// A mask drawn with '#' for the lesion.
Image mask_of(const std::vector<std::string>& rows) {
  Image mask = make_image(static_cast<int>(rows[0].size()), static_cast<int>(rows.size()), 1);
  for (int y = 0; y < mask.height; ++y) {
    for (int x = 0; x < mask.width; ++x) {
      if (rows[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)] == '#') mask.pixels[mask.offset(x, y)] = 255;
    }
  }
  return mask;
}

Rgb pixel_at(const Image& image, int x, int y) {
  const std::uint8_t* pixel = image.pixels.data() + image.offset(x, y);
  return {pixel[0], pixel[1], pixel[2]};
}

// '#' where an RGB picture is red.
std::vector<std::string> red_rows(const Image& image) {
  std::vector<std::string> rows(static_cast<std::size_t>(image.height));
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x)
      rows[static_cast<std::size_t>(y)] += pixel_at(image, x, y) == kRed ? '#' : '.';
  }
  return rows;
}

TEST(Boundary, IsTheRingOfPixelsThatTouchTheOutside) {
  EXPECT_EQ(boundary(mask_of({".......", ".#####.", ".#####.", ".#####.", "......."})),
            mask_of({".......", ".#####.", ".#...#.", ".#####.", "......."}));
}

TEST(Boundary, RunsAlongTheBorderOfThePicture) {
  EXPECT_EQ(boundary(mask_of({"###", "###", "###"})), mask_of({"###", "#.#", "###"}));
}

TEST(Boundary, IgnoresDiagonalNeighbours) {
  EXPECT_EQ(boundary(mask_of({"#####", "#####", "#####", "#####", "####."})).pixels[3 * 5 + 3], 0);
}

TEST(DrawOutline, ThinLineIsTheBoundary) {
  Image image = make_image(5, 5, 3, 9);
  draw_outline(image, mask_of({".....", ".###.", ".###.", ".###.", "....."}), kRed);
  EXPECT_EQ(red_rows(image), (std::vector<std::string>{".....", ".###.", ".#.#.", ".###.", "....."}));
  EXPECT_EQ(pixel_at(image, 2, 2), (Rgb{9, 9, 9}));
}

TEST(DrawOutline, ThicknessIsADiameterAndIsCutAtTheBorder) {
  Image two = make_image(4, 4, 3);
  draw_outline(two, mask_of({"....", ".#..", "....", "...."}), kRed, 2);
  EXPECT_EQ(red_rows(two), (std::vector<std::string>{"....", ".##.", ".##.", "...."}));
  Image three = make_image(3, 3, 3);
  draw_outline(three, mask_of({"#..", "...", "..."}), kRed, 3);
  EXPECT_EQ(red_rows(three), (std::vector<std::string>{"##.", "##.", "..."}));
  Image five = make_image(7, 7, 3);
  draw_outline(five, mask_of({".......", ".......", ".......", "...#...", ".......", ".......", "......."}), kRed, 5);
  EXPECT_EQ(red_rows(five),
            (std::vector<std::string>{".......", "..###..", ".#####.", ".#####.", ".#####.", "..###..", "......."}));
}

TEST(DrawOutline, RefusesAMaskOfAnotherSize) {
  Image image = make_image(4, 4, 3);
  expect_error([&] { draw_outline(image, make_image(4, 5, 1), kRed); }, {"4x5", "4x4"});
  expect_error([&] { draw_outline(image, make_image(4, 4, 1), kRed, 0); }, {"0 pixels thick"});
  Image grey = make_image(4, 4, 1);
  expect_error([&] { draw_outline(grey, make_image(4, 4, 1), kRed); }, {"RGB"});
}

TEST(Tint, MixesOnlyInsideTheLesion) {
  Image image = make_image(2, 1, 3, 100);
  tint(image, mask_of({"#."}), {200, 0, 100}, 0.5);
  EXPECT_EQ(pixel_at(image, 0, 0), (Rgb{150, 50, 100}));
  EXPECT_EQ(pixel_at(image, 1, 0), (Rgb{100, 100, 100}));
  tint(image, mask_of({"##"}), kRed, 0);
  EXPECT_EQ(pixel_at(image, 0, 0), (Rgb{150, 50, 100}));
  tint(image, mask_of({"##"}), kRed, 1);
  EXPECT_EQ(pixel_at(image, 1, 0), kRed);
  expect_error([&] { tint(image, mask_of({"##"}), kRed, 1.5); }, {"1.5"});
}

TEST(Grid, PlacesCellsInColumnsAndRows) {
  const std::vector<Image> cells{make_image(2, 1, 1, 10), make_image(1, 2, 3, 20), make_image(3, 1, 3, 30)};
  const Image picture = grid(cells, 2, 1, {1, 2, 3});
  ASSERT_EQ(picture.width, 3 + 1 + 1);
  ASSERT_EQ(picture.height, 2 + 1 + 1);
  EXPECT_EQ(pixel_at(picture, 1, 0), (Rgb{10, 10, 10}));
  EXPECT_EQ(pixel_at(picture, 2, 0), (Rgb{1, 2, 3}));
  EXPECT_EQ(pixel_at(picture, 4, 1), (Rgb{20, 20, 20}));
  EXPECT_EQ(pixel_at(picture, 0, 2), (Rgb{1, 2, 3}));
  EXPECT_EQ(pixel_at(picture, 2, 3), (Rgb{30, 30, 30}));
  EXPECT_EQ(pixel_at(picture, 4, 3), (Rgb{1, 2, 3}));
}

TEST(Grid, HasNoMoreColumnsThanCells) {
  const std::vector<Image> cells{make_image(4, 4, 3, 1), make_image(4, 4, 3, 2)};
  EXPECT_EQ(grid(cells, 9, 2).width, 10);
  expect_error([] { grid({}, 2); }, {"at least one"});
  expect_error([&] { grid(cells, 0); }, {"0 columns"});
}

}  // namespace
}  // namespace dermatome::data

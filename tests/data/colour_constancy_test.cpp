// Colour constancy on known vectors: what the light is taken to be, and what is left of it.
#include "data/colour_constancy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/preparation.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::Bytes;
using testing::expect_error;
using testing::random_image;

Image row_of(std::initializer_list<Rgb> colours) {
  Image image = make_image(static_cast<int>(colours.size()), 1, 3);
  std::size_t i = 0;
  for (const Rgb& colour : colours) {
    image.pixels[i++] = colour.r;
    image.pixels[i++] = colour.g;
    image.pixels[i++] = colour.b;
  }
  return image;
}

Image balanced(Image image, ColourConstancy method) {
  balance_colours(image, method);
  return image;
}

TEST(ColourConstancy, TheLightIsMeanSixthPowerOrMaximum) {
  const Image image = row_of({{100, 20, 0}, {50, 40, 10}, {150, 30, 200}, {100, 10, 190}});
  const auto grey = light_of(image, ColourConstancy::gray_world);
  EXPECT_DOUBLE_EQ(grey[0], 100);
  EXPECT_DOUBLE_EQ(grey[1], 25);
  EXPECT_DOUBLE_EQ(grey[2], 100);
  const auto largest = light_of(image, ColourConstancy::max_rgb);
  EXPECT_EQ(largest, (std::array<double, 3>{150, 40, 200}));
  const auto shades = light_of(image, ColourConstancy::shades_of_gray);
  // ((100^6 + 50^6 + 150^6 + 100^6) / 4)^(1/6) and so on, by Python.
  EXPECT_NEAR(shades[0], 122.33232234667, 1e-10);
  EXPECT_NEAR(shades[1], 32.69952755324, 1e-10);
  EXPECT_NEAR(shades[2], 174.00981465338, 1e-10);
}

TEST(ColourConstancy, GrayWorldMakesEqualMeansAndKeepsTheEnergyOfTheLight) {
  // e = (100, 50, 200): |e| / sqrt(3) = 132.288
  EXPECT_EQ(balanced(row_of({{100, 50, 200}}), ColourConstancy::gray_world).pixels, (Bytes{132, 132, 132}));
  EXPECT_EQ(balanced(row_of({{120, 60, 100}, {80, 40, 255}}), ColourConstancy::gray_world).pixels,
            (Bytes{145, 145, 68, 97, 97, 174}));
}

TEST(ColourConstancy, WhiteLightChangesNothing) {
  Image white = random_image(31, 17, 3, 4);
  for (std::size_t c = 0; c < 3; ++c) white.pixels[c] = 255;
  EXPECT_EQ(balanced(white, ColourConstancy::max_rgb), white);
  const Image grey = row_of({{10, 10, 10}, {200, 200, 200}, {77, 77, 77}});
  for (const auto& name : colour_constancy_names())
    EXPECT_EQ(balanced(grey, parse_colour_constancy(name)), grey) << name;
  const Image any = random_image(31, 17, 3, 5);
  EXPECT_EQ(balanced(any, ColourConstancy::none), any);
}

TEST(ColourConstancy, ATintIsTakenOut) {
  const Image plain = random_image(40, 30, 3, 6);
  Image tinted = plain;
  for (std::size_t i = 0; i < tinted.pixels.size(); ++i) {
    tinted.pixels[i] = static_cast<std::uint8_t>(std::lround(tinted.pixels[i] * (i % 3 == 0   ? 0.9
                                                                                 : i % 3 == 1 ? 0.6
                                                                                              : 0.4)));
  }
  for (const auto method : {ColourConstancy::gray_world, ColourConstancy::shades_of_gray, ColourConstancy::max_rgb}) {
    const auto before = light_of(tinted, method);
    const auto after = light_of(balanced(tinted, method), method);
    EXPECT_GT(before[0], 2 * before[2]);
    EXPECT_NEAR(after[0] / after[2], 1, 0.02) << name_of(method);
    EXPECT_NEAR(after[1] / after[2], 1, 0.02) << name_of(method);
  }
}

TEST(ColourConstancy, BrightValuesAreClippedAndDarkChannelsStay) {
  EXPECT_EQ(balanced(row_of({{255, 255, 255}, {255, 0, 0}, {255, 0, 0}}), ColourConstancy::gray_world).pixels,
            (Bytes{163, 255, 255, 163, 0, 0, 163, 0, 0}));
  EXPECT_EQ(balanced(row_of({{90, 0, 0}}), ColourConstancy::shades_of_gray).pixels, (Bytes{52, 0, 0}));
  EXPECT_EQ(balanced(row_of({{0, 0, 0}}), ColourConstancy::gray_world).pixels, (Bytes{0, 0, 0}));
}

TEST(ColourConstancy, IsNamedAsInARecipe) {
  for (const auto& name : colour_constancy_names()) EXPECT_EQ(name_of(parse_colour_constancy(name)), name);
  expect_error([] { parse_colour_constancy("grey-world"); }, {"'grey-world'", "did you mean 'gray-world'?"});
  Image grey = make_image(2, 2, 1);
  expect_error([&] { balance_colours(grey, ColourConstancy::gray_world); }, {"RGB images"});
}

TEST(Preparation, ThePhotographKeepsItsProportionsWherePadded) {
  const auto sides = [](Resize resize, int width, int height) {
    const Sides content = content_of({128, resize, ColourConstancy::none}, width, height);
    return std::pair{content.width, content.height};
  };
  EXPECT_EQ(sides(Resize::squash, 1022, 767), (std::pair{128, 128}));
  EXPECT_EQ(sides(Resize::pad, 1022, 767), (std::pair{128, 96}));
  EXPECT_EQ(sides(Resize::pad, 767, 1022), (std::pair{96, 128}));
  EXPECT_EQ(sides(Resize::pad, 50, 50), (std::pair{128, 128}));
  EXPECT_EQ(sides(Resize::pad, 30000, 1), (std::pair{128, 1}));
}

TEST(Preparation, IsTold) {
  EXPECT_EQ(to_text(Preparation(128)), "128 px");
  EXPECT_EQ(to_text(Preparation(96, Resize::pad, ColourConstancy::max_rgb, MaskResize::nearest)),
            "96 px padded, max-rgb, masks nearest");
}

}  // namespace
}  // namespace dermatome::data

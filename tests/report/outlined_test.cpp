// Outlines on photographs.
#include "tools/report/outlined.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "engine/core/error.h"
#include "tests/report/support.h"
#include "tools/report/html.h"

namespace dermatome::report {
namespace {

using testing::disc_mask;
using testing::scored_image;

std::size_t pixels_of(const data::Image& picture, data::Rgb colour) {
  std::size_t number = 0;
  for (std::size_t i = 0; i < picture.pixels.size(); i += 3) {
    number += data::Rgb{picture.pixels[i], picture.pixels[i + 1], picture.pixels[i + 2]} == colour;
  }
  return number;
}

TEST(ReportOutlines, TruthIsGreenAndPredictionMagenta) {
  ReportImage image = scored_image("a", 0.5, 64);
  image.prediction = disc_mask(64, 10);
  const data::Image both = outlined(image);
  EXPECT_GT(pixels_of(both, kTruthColour), 100u);
  EXPECT_GT(pixels_of(both, kPredictionColour), 50u);
  EXPECT_EQ(pixels_of(both, kSharedColour), 0u);
  image.prediction = {};
  EXPECT_EQ(pixels_of(outlined(image), kPredictionColour), 0u);
  EXPECT_EQ(pixels_of(outlined(image), kTruthColour), pixels_of(both, kTruthColour));
}

TEST(ReportOutlines, WhereBothAgreeTheLineIsWhite) {
  ReportImage image = scored_image("a", 1, 64);
  image.prediction = image.truth;
  const data::Image picture = outlined(image);
  EXPECT_GT(pixels_of(picture, kSharedColour), 100u);
  EXPECT_EQ(pixels_of(picture, kTruthColour), 0u);
  EXPECT_EQ(pixels_of(picture, kPredictionColour), 0u);
}

TEST(ReportOutlines, ALineHasADarkRimAndLeavesTheRestAlone) {
  const data::Image picture = outlined(scored_image("a", 0.5, 64));
  const int middle = picture.height / 2;
  const int edge = picture.width / 2 + 2 * 64 / 3;
  const auto blue_near = [&](int from, int to) {
    int darkest = 255;
    for (int x = from; x <= to; ++x) darkest = std::min<int>(darkest, picture.pixels[picture.offset(x, middle) + 2]);
    return darkest;
  };
  EXPECT_LT(blue_near(edge - 6, edge + 6), 60);
  EXPECT_EQ(blue_near(0, 10), 180);
  EXPECT_EQ(blue_near(picture.width / 2 - 5, picture.width / 2 + 5), 180);
}

TEST(ReportOutlines, PicturesDoubleInSizeUpToALimit) {
  EXPECT_EQ(outlined(scored_image("a", 0.5, 32)).width, 64);
  EXPECT_EQ(outlined(scored_image("a", 0.5, 1000)).width, 640);
  ReportImage wide{.id = "wide", .photograph = data::make_image(1300, 1, 3)};
  EXPECT_EQ(outlined(wide).width, 640);
  EXPECT_EQ(outlined(wide).height, 1);
}

TEST(ReportOutlines, GreyPhotographsAreDrawnOnAsWell) {
  ReportImage image = scored_image("a", 0.5);
  image.photograph = data::make_image(24, 24, 1, 90);
  EXPECT_EQ(outlined(image).channels, 3);
}

TEST(ReportOutlines, AMaskOfAnotherSizeIsAnErrorThatNamesThePhotograph) {
  ReportImage image = scored_image("ISIC_0000042", 0.5);
  image.truth = disc_mask(10, 3);
  try {
    outlined(image);
    FAIL() << "no error";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("ISIC_0000042"), std::string::npos) << text;
    EXPECT_NE(text.find("10x10"), std::string::npos) << text;
  }
}

TEST(ReportOutlines, TheLegendHasTheColoursOfTheLines) {
  const std::string html = render_html({});
  for (const data::Rgb colour : {kTruthColour, kPredictionColour, kSharedColour}) {
    const std::string text = fmt::format("--stroke: #{:02x}{:02x}{:02x};", colour.r, colour.g, colour.b);
    EXPECT_NE(html.find(text), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace dermatome::report

// Predictions lie in the pixel grid of the photograph's file, also where EXIF says that it must be turned.
#include "tools/training/predictor.h"

#include <gtest/gtest.h>

#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;
using data::Orientation;

std::filesystem::path random_checkpoint(const TemporaryFolder& folder) {
  const Model model = two_groups();
  StateStore store;
  store.create(states_of(model, DType::f32), 8);
  const auto path = folder / "c.safetensors";
  write_checkpoint(path, store, {.graph_text = model.canonical_text(), .preprocessing = {.size = 32, .threshold = 0.5}},
                   true);
  return path;
}

data::Photograph jpeg_of(const data::Image& stored, int orientation) {
  return data::decode_rgb(data::testing::make_jpeg(stored.pixels, stored.width, stored.height,
                                                   {.app1 = data::testing::exif_block(orientation, true)}),
                          "p.jpg");
}

data::Photograph upright(data::Image image) {
  const int width = image.width;
  const int height = image.height;
  return {.image = std::move(image), .stored_width = width, .stored_height = height};
}

TEST(Predictor, AnswersAtTheStoredSize) {
  const TemporaryFolder folder;
  Predictor predictor(random_checkpoint(folder), kCpuDevice, {});
  EXPECT_EQ(predictor.size(), 32);
  const auto prediction = predictor.predict(upright(disc_pair(50, 37, 1).photograph));
  EXPECT_EQ(prediction.width, 50);
  EXPECT_EQ(prediction.height, 37);
  ASSERT_EQ(prediction.probability.size(), 50u * 37u);
  EXPECT_EQ(prediction.mask.width, 50);
  EXPECT_EQ(prediction.mask.height, 37);
  EXPECT_EQ(prediction.mask.channels, 1);
  double share = 0;
  for (std::size_t i = 0; i < prediction.probability.size(); ++i) {
    EXPECT_EQ(prediction.mask.pixels[i], prediction.probability[i] > 0.5f ? 255 : 0);
    share += prediction.probability[i] > 0.5f ? 1.0 / (50 * 37) : 0;
  }
  EXPECT_NEAR(prediction.area_share(), share, 1e-9);
}

// Orientation 6: upright(x, y) is stored(y, height - 1 - x).
TEST(Predictor, WritesATurnedPhotographsMaskInTheStoredGrid) {
  const TemporaryFolder folder;
  Predictor predictor(random_checkpoint(folder), kCpuDevice, {});
  const data::Photograph turned = jpeg_of(disc_pair(48, 32, 2).photograph, 6);
  ASSERT_EQ(turned.orientation, Orientation::quarter_clockwise);
  ASSERT_EQ(turned.image.width, 32);
  const Prediction got = predictor.predict(turned);
  const Prediction copy = predictor.predict(upright(turned.image));
  ASSERT_EQ(got.width, 48);
  ASSERT_EQ(got.height, 32);
  ASSERT_EQ(copy.width, 32);
  bool varies = false;
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 48; ++x) {
      const float expected = copy.probability[static_cast<std::size_t>(x) * 32 + static_cast<std::size_t>(31 - y)];
      const float value = got.probability[static_cast<std::size_t>(y) * 48 + static_cast<std::size_t>(x)];
      ASSERT_EQ(value, expected) << x << ' ' << y;
      varies = varies || value != got.probability[0];
    }
  }
  EXPECT_TRUE(varies);
}

TEST(Predictor, ABatchAnswersAsOneByOne) {
  const TemporaryFolder folder;
  Predictor predictor(random_checkpoint(folder), kCpuDevice, {});
  std::vector<data::Photograph> photographs;
  for (int i = 0; i < 10; ++i)
    photographs.push_back(upright(disc_pair(30 + i, 40, static_cast<std::uint64_t>(i)).photograph));
  const auto together = predictor.predict(photographs);
  ASSERT_EQ(together.size(), 10u);
  for (std::size_t i = 0; i < 10; ++i) {
    const auto alone = predictor.predict(photographs[i]);
    ASSERT_EQ(together[i].width, alone.width);
    for (std::size_t p = 0; p < alone.probability.size(); ++p)
      ASSERT_NEAR(together[i].probability[p], alone.probability[p], 1e-5);
  }
}

TEST(Predictor, ASizeThatDoesNotDivideIsRefused) {
  const TemporaryFolder folder;
  Predictor predictor(random_checkpoint(folder), kCpuDevice, {}, 30);
  expect_error([&] { predictor.predict(upright(disc_pair(20, 20, 1).photograph)); }, {"divisible by 4", "28 or 32"});
}

// 4 x 4, two columns of lesion each, overlapping in one.
Prediction prediction_of(const std::vector<float>& probability) {
  Prediction prediction{.width = 4, .height = 4, .probability = probability, .mask = data::make_image(4, 4, 1)};
  for (std::size_t i = 0; i < 16; ++i) prediction.mask.pixels[i] = probability[i] > 0.5f ? 255 : 0;
  return prediction;
}

data::Image mask_of(const std::vector<std::uint8_t>& pixels) {
  return {.width = 4, .height = 4, .channels = 1, .pixels = pixels};
}

void expect_scores(const Scores& scores, const Scores& expected) {
  for (std::size_t m = 0; m < kMetrics; ++m) EXPECT_NEAR(scores[m], expected[m], 1e-6) << kMetricNames[m];
}

TEST(Scores, EqualThoseComputedByHand) {
  const TemporaryFolder folder;
  Predictor predictor(random_checkpoint(folder), kCpuDevice, {});
  // TP 4, FP 4, FN 2, TN 6: truth pixels of 128 are background, 129 are lesion; a probability of .5 is background.
  const auto prediction = prediction_of({.9f, .9f, .5f, 0, .9f, .9f, 0, 0, .9f, .9f, .1f, .2f, .9f, .9f, 0, 0});
  const auto truth = mask_of({255, 128, 129, 0, 255, 0, 255, 0, 255, 0, 0, 0, 129, 0, 0, 0});
  expect_scores(predictor.score(prediction, truth), {4.0 / 10, 0, 8.0 / 14, 10.0 / 16, 4.0 / 6, 6.0 / 10});
  // TP 4, FP 1, FN 0, TN 11: above the threshold of .65.
  const auto close = prediction_of({.9f, .9f, 0, 0, .9f, 0, 0, 0, .9f, 0, 0, 0, .9f, 0, 0, 0});
  const auto column = mask_of({255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0});
  expect_scores(predictor.score(close, column), {0.8, 0.8, 8.0 / 9, 15.0 / 16, 1, 11.0 / 12});
}

TEST(Scores, OfAnEmptyTruth) {
  const TemporaryFolder folder;
  Predictor predictor(random_checkpoint(folder), kCpuDevice, {});
  const auto empty = mask_of(std::vector<std::uint8_t>(16, 0));
  expect_scores(predictor.score(prediction_of(std::vector<float>(16, 0)), empty), {1, 1, 1, 1, 1, 1});
  std::vector<float> one(16, 0);
  one[3] = 1;
  expect_scores(predictor.score(prediction_of(one), empty), {0, 0, 0, 15.0 / 16, 1, 15.0 / 16});
}

TEST(Scores, NeedMasksOfThePhotographsSize) {
  const TemporaryFolder folder;
  Predictor predictor(random_checkpoint(folder), kCpuDevice, {});
  expect_error([&] { predictor.score(prediction_of(std::vector<float>(16, 0)), data::make_image(4, 5, 1)); },
               {"4 x 5", "4 x 4"});
}

}  // namespace
}  // namespace dermatome::training

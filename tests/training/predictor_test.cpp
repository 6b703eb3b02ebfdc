// Predictions lie in the pixel grid of the photograph's file, also where EXIF says that it must be turned.
#include "tools/training/predictor.h"

#include <gtest/gtest.h>

#include "data/image/pad.h"
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

// Squashed to the network's 32 pixels, from a file whose EXIF says that it is to be turned.
data::PreparedPhotograph prepared(const data::Image& stored, int orientation = 1, int size = 32) {
  const auto bytes = data::testing::make_jpeg(stored.pixels, stored.width, stored.height,
                                              {.app1 = data::testing::exif_block(orientation, true)});
  return data::prepare_photograph(bytes, "p.jpg", size);
}

TEST(Predictor, AnswersAtTheStoredSize) {
  const TemporaryFolder folder;
  Predictor predictor(random_checkpoint(folder), kCpuDevice, {});
  EXPECT_EQ(predictor.size(), 32);
  const auto prediction = predictor.predict(prepared(disc_pair(50, 37, 1).photograph));
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
  const auto turned = prepared(disc_pair(48, 32, 2).photograph, 6);
  ASSERT_EQ(turned.stored.orientation, Orientation::quarter_clockwise);
  const Prediction got = predictor.predict(turned);
  const Prediction copy = predictor.predict({.image = turned.image, .stored = {.width = 32, .height = 48}});
  ASSERT_EQ(got.width, 48);
  ASSERT_EQ(got.height, 32);
  ASSERT_EQ(copy.width, 32);
  bool varies = false;
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 48; ++x) {
      const float expected = copy.probability[static_cast<std::size_t>(x) * 32 + static_cast<std::size_t>(31 - y)];
      const float value = got.probability[static_cast<std::size_t>(y) * 48 + static_cast<std::size_t>(x)];
      ASSERT_NEAR(value, expected, 1e-6) << x << ' ' << y;
      varies = varies || value != got.probability[0];
    }
  }
  EXPECT_TRUE(varies);
}

// One photograph takes a third of the memory that is left.
TEST(Predictor, SaysHowManyPhotographsWouldFitOrWhichSize) {
  const TemporaryFolder folder;
  constexpr std::size_t kMapBytes = std::size_t{4} << 20;  // of a channel at 1024 px
  const std::size_t width = backend_of(DeviceKind::cpu).available_bytes(0) / kMapBytes / 3;
  const Model model =
      Model::parse(fmt::format("model wide(image: 3 channels) {{\n  conv = conv2d(image, {}, kernel=1)\n"
                               "  out = conv2d(relu(conv), 1, kernel=1)\n  return out\n}}\n",
                               width),
                   "wide.graph");
  StateStore store;
  store.create(states_of(model, DType::f32), 8);
  const auto path = folder / "wide.safetensors";
  write_checkpoint(path, store,
                   {.graph_text = model.canonical_text(), .preprocessing = {.size = 1024, .threshold = 0.5}}, true);
  const std::vector<data::Image> inputs(8, data::make_image(1024, 1024, 3));
  Predictor with_batch(path, kCpuDevice, {}, {.batch_option = "--batch ", .size_option = "--size "});
  expect_error([&] { with_batch.probabilities(inputs); },
               {"1024 px, 8 photographs at once: this needs ", " MiB are left; --batch ", " would fit"});
  Predictor without(path, kCpuDevice, {}, {.size_option = "--size "});
  expect_error([&] { without.probabilities(inputs); },
               {"1024 px, 8 photographs at once: this needs ", " MiB are left; --size ", " would fit"});
}

TEST(Predictor, ABatchAnswersAsOneByOne) {
  const TemporaryFolder folder;
  Predictor predictor(random_checkpoint(folder), kCpuDevice, {});
  std::vector<data::Image> inputs;
  for (std::uint64_t i = 0; i < 5; ++i)
    inputs.push_back(prepared(disc_pair(30 + static_cast<int>(i), 40, i).photograph).image);
  const auto together = predictor.probabilities(inputs);
  ASSERT_EQ(together.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) {
    const auto alone = predictor.probabilities(std::span(inputs).subspan(i, 1)).front();
    for (std::size_t p = 0; p < alone.size(); ++p) ASSERT_NEAR(together[i][p], alone[p], 1e-5);
  }
  EXPECT_NE(together[0], together[1]);
}

TEST(Predictor, TakesOnlyPicturesOfItsSize) {
  const TemporaryFolder folder;
  Predictor predictor(random_checkpoint(folder), kCpuDevice, {});
  expect_error([&] { predictor.predict(prepared(disc_pair(20, 20, 1).photograph, 1, 28)); }, {"32x32 pixels", "28x28"});
}

TEST(Predictor, TakesItsThresholdFromTheCheckpointUnlessOneIsGiven) {
  const TemporaryFolder folder;
  const auto checkpoint = random_checkpoint(folder);
  EXPECT_EQ(Predictor(checkpoint, kCpuDevice, {}).threshold(), 0.5);
  Predictor all(checkpoint, kCpuDevice, {}, {.threshold = 0.0});
  Predictor none(checkpoint, kCpuDevice, {}, {.threshold = 1.0});
  const auto photograph = prepared(disc_pair(24, 20, 1).photograph);
  EXPECT_EQ(all.predict(photograph).lesion_pixels, 24 * 20);
  EXPECT_TRUE(none.predict(photograph).is_empty());
}

// At the photograph's own size nothing is resized, so that every pixel must be found where it was.
TEST(Predictor, APaddedPhotographsMaskLiesInTheStoredGridPixelByPixel) {
  const TemporaryFolder folder;
  const Model model = two_groups();
  StateStore store;
  store.create(states_of(model, DType::f32), 8);
  write_checkpoint(folder / "c.safetensors", store,
                   {.graph_text = model.canonical_text(), .preprocessing = {.size = 24, .resize = data::Resize::pad}},
                   true);
  Predictor predictor(folder / "c.safetensors", kCpuDevice, {});
  EXPECT_EQ(predictor.preparation(), data::Preparation(24, data::Resize::pad, data::ColourConstancy::none));
  const data::Image stored = disc_pair(24, 14, 2).photograph;
  for (int o = 1; o <= 8; ++o) {
    const auto orientation = static_cast<Orientation>(o);
    const auto bytes = data::testing::make_jpeg(stored.pixels, stored.width, stored.height,
                                                {.app1 = data::testing::exif_block(o, true)});
    const data::Image upright = data::decode_rgb(bytes, "p.jpg").image;
    const data::Image padded = data::pad(upright, 24, 24);
    const auto whole = predictor.probabilities(std::span(&padded, 1)).front();
    const auto expected = data::turned<float>(data::cut(whole, 24, upright.width, upright.height), upright.width,
                                              upright.height, 1, data::inverse(orientation));
    const Prediction got = predictor.predict(data::prepare_photograph(bytes, "p.jpg", predictor.preparation()));
    EXPECT_EQ(got.width, 24);
    EXPECT_EQ(got.height, 14);
    EXPECT_EQ(got.probability, expected) << o;
  }
}

// By the rule that exported ONNX pads by.
TEST(Predictor, ASizeThatDoesNotDivideIsPaddedAndCutBack) {
  const TemporaryFolder folder;
  const auto checkpoint = random_checkpoint(folder);
  Predictor odd(checkpoint, kCpuDevice, {}, {.size = 30});
  Predictor even(checkpoint, kCpuDevice, {}, {.size = 32});
  const data::Image image = prepared(disc_pair(20, 20, 1).photograph, 1, 30).image;
  const data::Image padded = data::pad(image, 32, 32);
  const auto got = odd.probabilities(std::span(&image, 1)).front();
  EXPECT_EQ(got, data::cut(even.probabilities(std::span(&padded, 1)).front(), 32, 30, 30));
}

}  // namespace
}  // namespace dermatome::training

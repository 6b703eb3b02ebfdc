// Scoring a folder: each photograph against its mask, at the stored size.
#include "tools/training/evaluation.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;

class EvaluationTest : public ::testing::Test {
 protected:
  EvaluationTest() : samples_(add_samples(folder_, "e", 10)), predictor_(checkpoint(), kCpuDevice, {}) {}

  std::filesystem::path checkpoint() const {
    const Model model = two_groups();
    StateStore store;
    store.create(states_of(model, DType::f32), 2);
    const auto path = folder_ / "c.safetensors";
    write_checkpoint(path, store,
                     {.graph_text = model.canonical_text(), .preprocessing = {.size = 32, .threshold = 0.5}}, true);
    return path;
  }

  TemporaryFolder folder_;
  std::vector<data::Sample> samples_;
  Predictor predictor_;
};

TEST_F(EvaluationTest, CountsPixelsOfTheStoredGrid) {
  std::size_t calls = 0;
  const auto evaluation = evaluate(
      predictor_, samples_,
      [&](std::size_t done, std::size_t total) {
        EXPECT_EQ(done, ++calls);
        EXPECT_EQ(total, 10u);
      },
      [](const ScoredImage& image, const data::Photograph& photograph, const data::Image& truth,
         const Prediction& prediction) {
        double tp = 0, fp = 0, fn = 0;
        ASSERT_EQ(truth.pixels.size(), prediction.mask.pixels.size());
        for (std::size_t i = 0; i < truth.pixels.size(); ++i) {
          const bool lesion = truth.pixels[i] > 128;
          const bool predicted = prediction.mask.pixels[i] == 255;
          tp += lesion && predicted;
          fp += !lesion && predicted;
          fn += lesion && !predicted;
        }
        const auto all = static_cast<double>(truth.pixels.size());
        EXPECT_NEAR(image.scores[kJaccard], tp / (tp + fp + fn), 1e-6) << image.id;
        EXPECT_NEAR(image.scores[kDice], 2 * tp / (2 * tp + fp + fn), 1e-6) << image.id;
        EXPECT_NEAR(image.truth_share, (tp + fn) / all, 1e-9);
        EXPECT_NEAR(image.predicted_share, (tp + fp) / all, 1e-9);
        EXPECT_EQ(image.width, photograph.stored_width);
      });
  ASSERT_EQ(evaluation.images.size(), 10u);
  double sum = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(evaluation.images[i].id, samples_[i].id);
    sum += evaluation.images[i].scores[kJaccard];
  }
  EXPECT_NEAR(evaluation.means()[kJaccard], sum / 10, 1e-9);
  EXPECT_EQ(values_of(evaluation, kJaccard).size(), 10u);
}

TEST_F(EvaluationTest, AMaskOfAnotherSizeIsNamed) {
  data::write_png(samples_[3].mask, data::make_image(7, 9, 1, 255));
  expect_error([&] { evaluate(predictor_, samples_, {}); }, {"e3_mask.png is 7 x 9", "e3.png is 52 x 40"});
}

TEST_F(EvaluationTest, AnUnreadablePhotographIsNamed) {
  folder_.add("e5.png", std::string_view("no picture"));
  expect_error([&] { evaluate(predictor_, samples_, {}); }, {"e5.png"});
}

TEST_F(EvaluationTest, TakesThePartOfTheSplitFile) {
  std::string text = "image,part\n";
  for (int i = 0; i < 10; ++i) text += fmt::format("e{},{}\n", i, i < 7 ? "train" : "validation");
  const auto split = folder_.add("split.csv", std::string_view(text));
  const auto chosen = samples_of_part(samples_, split, data::Part::validation);
  ASSERT_EQ(chosen.size(), 3u);
  EXPECT_EQ(chosen[0].id, "e7");
  expect_error([&] { samples_of_part(samples_, split, data::Part::test); }, {"split.csv", "'test'"});
}

TEST(BootstrapInterval, HoldsTheMeanAndIsRepeatable) {
  std::vector<double> values(50);
  std::iota(values.begin(), values.end(), 0.0);
  const auto interval = bootstrap_interval(values, 1);
  // sd / sqrt(n) is 2.04 here; 1.96 of these on each side of 24.5.
  EXPECT_NEAR(interval.low, 20.5, 0.6);
  EXPECT_NEAR(interval.high, 28.5, 0.6);
  EXPECT_EQ(bootstrap_interval(values, 1).low, interval.low);
  EXPECT_NE(bootstrap_interval(values, 2).low, interval.low);
  EXPECT_EQ(bootstrap_interval({0.25}, 1).high, 0.25);
  expect_error([] { bootstrap_interval({}, 1); }, {"at least one value"});
}

}  // namespace
}  // namespace dermatome::training

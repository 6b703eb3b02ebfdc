// Scoring a folder: each photograph against its mask, at the stored size.
#include "tools/training/evaluation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;

class EvaluationTest : public ::testing::Test {
 protected:
  EvaluationTest() : samples_(add_samples(folder_, "e", 10)), ensemble_(checkpoint(), kCpuDevice, {}) {}

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
  Ensemble ensemble_;
};

TEST_F(EvaluationTest, CountsPixelsOfTheStoredGrid) {
  std::vector<std::size_t> done;
  std::vector<int> seen(10);
  const auto evaluation = evaluate(
      ensemble_, samples_, {},
      [&](std::size_t count, std::size_t total) {
        done.push_back(count);
        EXPECT_EQ(total, 10u);
      },
      [&](std::size_t index, const ScoredImage& image, const data::StoredGrid& grid, const data::Image& truth,
          const Prediction& prediction) {
        PixelCounts counts;
        ASSERT_EQ(truth.pixels.size(), prediction.mask.pixels.size());
        for (std::size_t i = 0; i < truth.pixels.size(); ++i) {
          const bool lesion = truth.pixels[i] > 128;
          const bool predicted = prediction.mask.pixels[i] == 255;
          counts.true_positive += lesion && predicted;
          counts.false_positive += !lesion && predicted;
          counts.false_negative += lesion && !predicted;
          counts.true_negative += !lesion && !predicted;
        }
        EXPECT_EQ(image.counts, counts) << image.id;
        EXPECT_EQ(image.scores, scores_of(counts));
        EXPECT_EQ(image.id, samples_[index].id);
        EXPECT_EQ(image.width, grid.width);
        ++seen[index];
      });
  EXPECT_EQ(seen, std::vector<int>(10, 1));
  EXPECT_EQ(done, (std::vector<std::size_t>{8, 10})) << "a batch of eight and a remainder of two";
  ASSERT_EQ(evaluation.images.size(), 10u);
  double sum = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(evaluation.images[i].id, samples_[i].id);
    sum += evaluation.images[i].scores[kJaccard];
  }
  EXPECT_NEAR(evaluation.means()[kJaccard], sum / 10, 1e-9);
  EXPECT_EQ(values_of(evaluation, kJaccard).size(), 10u);
}

TEST_F(EvaluationTest, MasksOfAnotherSizeAreNamedBeforeAnythingIsPredicted) {
  data::write_png(samples_[3].mask, data::make_image(7, 9, 1, 255));
  expect_error([&] { evaluate(ensemble_, samples_, {}, {}); },
               {"e3_mask.png is 7x9 pixels but its photograph", "e3.png is 52x40"});
  data::write_png(samples_[9].mask, data::make_image(9, 7, 1, 255));
  const auto never = [](std::size_t, std::size_t) { FAIL() << "predicted"; };
  folder_.add("e4_mask.png", std::string_view("no picture"));
  const std::string image = text_of(samples_[7].image);
  folder_.add("e7.png", std::string_view(image).substr(0, image.size() / 2));
  expect_listed([&] { evaluate(ensemble_, samples_, {}, never); },
                {"4 of 10 photographs cannot be scored; repair", "leave them out with --skip-bad"},
                {"e3_mask.png is 7x9", "e4_mask.png is a text", "e7.png is cut short", "e9_mask.png is 9x7"});
}

TEST_F(EvaluationTest, EveryUnreadableFileIsNamed) {
  folder_.add("e5.png", std::string_view("no picture"));
  expect_error([&] { evaluate(ensemble_, samples_, {}, {}); }, {"e5.png"});
  const std::string whole = text_of(samples_[2].mask);
  folder_.add("e2_mask.png", std::string_view(whole).substr(0, whole.size() - 30));
  data::write_png(samples_[5].image, data::make_image(60, 40, 3, 9));
  const std::string image = text_of(samples_[7].image);
  folder_.add("e7.png", std::string_view(image).substr(0, image.size() / 2));
  expect_listed([&] { evaluate(ensemble_, samples_, {}, {}); }, {"2 of 10 photographs cannot be scored; "},
                {"e2_mask.png is cut short", "e7.png is cut short"});
}

TEST_F(EvaluationTest, BadOnesAreLeftOutOnRequest) {
  data::write_png(samples_[3].mask, data::make_image(7, 9, 1, 255));
  const std::string image = text_of(samples_[7].image);
  folder_.add("e7.png", std::string_view(image).substr(0, image.size() / 2));
  const auto evaluation = evaluate(ensemble_, samples_, {.skip_bad = true}, {});
  ASSERT_EQ(evaluation.left_out.size(), 2u);
  EXPECT_NE(evaluation.left_out[0].find("e3_mask.png is 7x9"), std::string::npos);
  EXPECT_NE(evaluation.left_out[1].find("e7.png is cut short"), std::string::npos);
  ASSERT_EQ(evaluation.images.size(), 8u);
  EXPECT_EQ(evaluation.images[3].id, "e4");
  EXPECT_EQ(evaluation.images[6].id, "e8");
  for (const auto& sample : samples_) data::write_file(sample.image, std::string_view("text"));
  expect_error([&] { evaluate(ensemble_, samples_, {.skip_bad = true}, {}); },
               {"none of 10 photographs can be scored; the first: ", "e0.png"});
}

TEST_F(EvaluationTest, CountsMasksThatAreNotSimplyBlackAndWhite) {
  data::Image mask = data::read_mask(samples_[0].mask).grey;
  data::Image edged = mask;
  edged.pixels[5] = 128;
  edged.pixels[6] = 129;
  data::write_png(samples_[0].mask, edged);
  for (auto& pixel : mask.pixels) pixel = pixel == 255 ? 1 : 0;
  data::write_png(samples_[1].mask, data::make_image(44, 40, 1));
  data::Image ones = data::make_image(48, 40, 1);
  for (int i = 0; i < 200; ++i) ones.pixels[static_cast<std::size_t>(i)] = 1;
  data::write_png(samples_[2].mask, ones);
  const auto evaluation = evaluate(ensemble_, samples_, {}, {});
  EXPECT_EQ(evaluation.truth.grey_edged, 1u);
  EXPECT_EQ(evaluation.truth.zero_one, 1u);
  EXPECT_EQ(evaluation.truth.lossy, 0u);
  const auto lesion = [&](std::size_t i) {
    return evaluation.images[i].counts.true_positive + evaluation.images[i].counts.false_negative;
  };
  EXPECT_EQ(lesion(0), std::count(edged.pixels.begin(), edged.pixels.end(), 255) + 1) << "129 is lesion, 128 is not";
  EXPECT_EQ(lesion(1), 0);
  EXPECT_EQ(lesion(2), 200);
}

TEST_F(EvaluationTest, RefusesMasksOfClassNumbers) {
  data::Image classes = data::make_image(40, 40, 1);
  for (std::size_t i = 0; i < 800; ++i) classes.pixels[i] = i < 400 ? 2 : 3;
  data::write_png(samples_[0].mask, classes);
  expect_error([&] { evaluate(ensemble_, samples_, {}, {}); }, {"e0_mask.png is no lesion mask"});
  std::fill_n(classes.pixels.begin(), 800, std::uint8_t{128});
  data::write_png(samples_[0].mask, classes);
  expect_error([&] { evaluate(ensemble_, samples_, {}, {}); },
               {"e0_mask.png is no lesion mask: its largest value is 128, and a lesion is what lies above 128"});
}

TEST_F(EvaluationTest, MarksPhotographsThatTheRunWasTrainedOn) {
  auto evaluation = evaluate(ensemble_, samples_, {}, {});
  const auto split = folder_.add(
      "split.csv", std::string_view("image,part,group\ne1,train,a\ne2,validation,b\r\ne4,train\nother,train\n\nbad\n"));
  EXPECT_EQ(training_names(split), (std::set<std::string>{"e1", "e4", "other"}));
  EXPECT_EQ(mark_trained_on(evaluation, training_names(split)), 2u);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(evaluation.images[i].trained_on, i == 1 || i == 4) << i;
  EXPECT_TRUE(training_names(folder_ / "nowhere.csv").empty());
  EXPECT_TRUE(training_names(folder_.add("empty.csv", std::string_view(""))).empty());
  EXPECT_EQ(training_names(folder_.add("marked.csv", std::string_view("\xEF\xBB\xBFimage,part\ne1,train\n"))),
            std::set<std::string>{"e1"})
      << "spreadsheets write a byte order mark";
  EXPECT_TRUE(training_names(folder_.add("odd.csv", std::string_view("name,kind\ne1,train\n"))).empty());
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

}  // namespace
}  // namespace dermatome::training

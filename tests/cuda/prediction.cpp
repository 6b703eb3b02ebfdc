// Prediction and evaluation on the host in a GPU's role: what they say is what they say on the CPU.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/cuda/emulated_device.h"
#include "tests/cuda/small_network.h"
#include "tests/training/support.h"
#include "tools/training/ensemble.h"
#include "tools/training/evaluation.h"

namespace dermatome::training {
namespace {

using namespace testing;
using harness::EmulatedDevice;
using harness::kCuda;
namespace fs = std::filesystem;

constexpr float kTolerance = 1e-4f;  // of a probability, in f32
constexpr std::int64_t kPixels = 2;  // of a photograph that may lie on the threshold

class EmulatedPrediction : public ::testing::Test {
 protected:
  EmulatedPrediction() : samples_(add_samples(folder_, "p", 6)) {
    for (const auto& sample : samples_) files_.push_back(sample.image);
  }

  fs::path checkpoint(const std::string& name, std::uint64_t seed, int size = 32) const {
    const Model model = Model::parse(harness::kSmallNetwork, "small.graph");
    StateStore store;
    store.create(states_of(model, DType::f32), seed);
    const auto path = folder_ / name;
    write_checkpoint(path, store, {.graph_text = model.canonical_text(), .preprocessing = {.size = size}}, true);
    return path;
  }

  // As a network of that size wants them.
  static std::vector<data::Image> inputs(std::size_t count, int size) {
    std::vector<data::Image> images;
    for (std::size_t i = 0; i < count; ++i) images.push_back(disc_pair(size, size, i + 1).photograph);
    return images;
  }

  // In the middle of what a network says of the photographs, so that masks hold pixels of both kinds.
  double median(const fs::path& checkpoint) const {
    Predictor predictor(checkpoint, kCpuDevice, {});
    std::vector<float> values;
    for (const auto& file : files_) {
      const data::PreparedPhotograph photograph = predictor.read(file);
      const auto map = predictor.probabilities(std::span(&photograph.image, 1)).front();
      values.insert(values.end(), map.begin(), map.end());
    }
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return static_cast<double>(*middle);
  }

  static void expect_close(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b,
                           float tolerance) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].size(), b[i].size());
      for (std::size_t p = 0; p < a[i].size(); ++p) ASSERT_NEAR(a[i][p], b[i][p], tolerance) << i << ' ' << p;
      const auto [least, most] = std::minmax_element(a[i].begin(), a[i].end());
      EXPECT_GT(*most - *least, 20 * tolerance) << "a map that says the same of every pixel proves little";
    }
  }

  // The maps of all photographs at their stored sizes.
  std::vector<std::vector<float>> predict(Ensemble& ensemble) const {
    std::vector<std::vector<float>> maps(files_.size());
    const auto failures = predict_files(ensemble, files_, {.batch = 4, .keep_probabilities = true},
                                        [&](std::size_t i, const data::StoredGrid&, Prediction& prediction) {
                                          maps[i] = std::move(prediction.probability);
                                        });
    EXPECT_TRUE(failures.empty());
    return maps;
  }

  static void expect_close(const Evaluation& a, const Evaluation& b) {
    ASSERT_EQ(a.images.size(), b.images.size());
    std::int64_t predicted = 0;
    std::int64_t all = 0;
    for (std::size_t i = 0; i < a.images.size(); ++i) {
      const PixelCounts& one = a.images[i].counts;
      const PixelCounts& other = b.images[i].counts;
      EXPECT_NEAR(one.true_positive, other.true_positive, kPixels) << i;
      EXPECT_NEAR(one.false_positive, other.false_positive, kPixels) << i;
      EXPECT_NEAR(one.false_negative, other.false_negative, kPixels) << i;
      EXPECT_NEAR(one.true_negative, other.true_negative, kPixels) << i;
      EXPECT_NEAR(a.images[i].scores[kJaccard], b.images[i].scores[kJaccard], 0.02) << i;
      predicted += one.true_positive + one.false_positive;
      all += one.all();
    }
    EXPECT_GT(predicted, all / 20);
    EXPECT_LT(predicted, all - all / 20);
  }

  TemporaryFolder folder_;
  std::vector<data::Sample> samples_;
  std::vector<fs::path> files_;
  EmulatedDevice device_;
};

// Batches of two sizes, and a size that the network pads.
TEST_F(EmulatedPrediction, OfAPredictorIsTheCpus) {
  const fs::path file = checkpoint("a", 8);
  for (const int size : {32, 30}) {
    Predictor cpu(file, kCpuDevice, {}, {.size = size});
    Predictor cuda(file, kCuda, {}, {.size = size});
    for (const std::size_t count : {1, 3}) {
      const auto images = inputs(count, size);
      expect_close(cuda.probabilities(images), cpu.probabilities(images), kTolerance);
    }
  }
}

TEST_F(EmulatedPrediction, HasTheSameBitsReplayedAsLaunched) {
  const fs::path file = checkpoint("a", 8);
  Predictor predictor(file, kCuda, {});
  const auto images = inputs(2, 32);
  const auto launched = predictor.probabilities(images);
  EXPECT_EQ(device_.recordings(), 0);
  EXPECT_EQ(predictor.probabilities(images), launched);
  EXPECT_EQ(device_.recordings(), 1) << "in its second run, its weights as they were";
  const auto others = inputs(3, 32);
  const std::vector<data::Image> next(others.begin() + 1, others.end());
  const auto replayed = predictor.probabilities(next);
  EXPECT_EQ(replayed[0], launched[1]) << "replays read the photographs of their run";
  EXPECT_EQ(device_.recordings(), 1);
  EXPECT_EQ(Predictor(file, kCuda, {.capture = false}).probabilities(next), replayed);
}

TEST_F(EmulatedPrediction, InBf16IsNearTheCpus) {
  const fs::path file = checkpoint("a", 8);
  Predictor cpu(file, kCpuDevice, {});
  Predictor cuda(file, kCuda, {.activations = DType::bf16});
  const auto images = inputs(2, 32);
  const auto exact = cpu.probabilities(images);
  const auto rounded = cuda.probabilities(images);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    for (std::size_t p = 0; p < exact[i].size(); ++p) ASSERT_NEAR(rounded[i][p], exact[i][p], 2e-2);
  }
  EXPECT_NE(rounded, exact);
}

TEST_F(EmulatedPrediction, OfAnEnsembleIsTheCpus) {
  const std::vector<fs::path> members{checkpoint("a", 1), checkpoint("b", 2, 48)};
  Ensemble cpu(members, kCpuDevice, {});
  Ensemble cuda(members, kCuda, {});
  expect_close(predict(cuda), predict(cpu), kTolerance);
}

TEST_F(EmulatedPrediction, IsScoredAsTheCpusWithTestTimeAugmentation) {
  const fs::path file = checkpoint("a", 1);
  const PredictorOptions options{.size = 0, .model = "", .threshold = median(file)};
  for (const auto augmentation : {TestTimeAugmentation::none, TestTimeAugmentation::dihedral}) {
    Ensemble cpu(file, kCpuDevice, {}, options, augmentation);
    Ensemble cuda(file, kCuda, {}, options, augmentation);
    expect_close(evaluate(cuda, samples_, {}, {}), evaluate(cpu, samples_, {}, {}));
  }
  Ensemble plain(file, kCuda, {}, options);
  Ensemble augmented(file, kCuda, {}, options, TestTimeAugmentation::dihedral);
  EXPECT_NE(predict(plain), predict(augmented));
}

TEST_F(EmulatedPrediction, OfAnEnsembleIsScoredAsTheCpus) {
  const std::vector<fs::path> members{checkpoint("a", 1), checkpoint("b", 2, 48)};
  const PredictorOptions options{.size = 0, .model = "", .threshold = (median(members[0]) + median(members[1])) / 2};
  Ensemble cpu(members, kCpuDevice, {}, options, TestTimeAugmentation::flips);
  Ensemble cuda(members, kCuda, {}, options, TestTimeAugmentation::flips);
  const Evaluation evaluation = evaluate(cuda, samples_, {}, {});
  expect_close(evaluation, evaluate(cpu, samples_, {}, {}));
  EXPECT_EQ(evaluation.members, 2u);
}

}  // namespace
}  // namespace dermatome::training

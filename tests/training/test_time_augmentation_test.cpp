// Test-time augmentation: turns are undone exactly, and a network that turns do not matter to answers as without.
#include "tools/training/test_time_augmentation.h"

#include <gtest/gtest.h>

#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;

// Looks at each pixel alone, so what it says turns with the photograph.
constexpr const char* kPointwise = R"(model pointwise(image: 3 channels) {
  hidden = conv2d(image, 4, kernel=1)
  out    = conv2d(relu(hidden), 1, kernel=1)
  return out
}
)";

class TestTimeAugmentationTest : public ::testing::Test {
 protected:
  Predictor predictor(const char* text) const {
    const Model model = Model::parse(text, "m.graph");
    StateStore store;
    store.create(states_of(model, DType::f32), 5);
    const auto path = folder_ / "c.safetensors";
    write_checkpoint(path, store, {.graph_text = model.canonical_text(), .preprocessing = {.size = 16}}, true);
    return Predictor(path, kCpuDevice, {});
  }

  std::vector<data::Image> inputs(std::size_t count = 3) const {
    std::vector<data::Image> inputs;
    for (std::size_t i = 0; i < count; ++i) inputs.push_back(data::testing::random_image(16, 16, 3, i + 1));
    return inputs;
  }

  TemporaryFolder folder_;
};

TEST_F(TestTimeAugmentationTest, HasEveryTurnOfItsKindOnce) {
  EXPECT_EQ(turns_of(TestTimeAugmentation::none).size(), 1u);
  EXPECT_EQ(turns_of(TestTimeAugmentation::flips).size(), 4u);
  EXPECT_EQ(turns_of(TestTimeAugmentation::dihedral).size(), 8u);
  std::set<data::Orientation> seen;
  for (const auto turn : turns_of(TestTimeAugmentation::dihedral)) seen.insert(turn);
  EXPECT_EQ(seen.size(), 8u);
  for (const auto turn : turns_of(TestTimeAugmentation::flips)) EXPECT_FALSE(data::swaps_sides(turn));
  for (const auto& name : test_time_augmentation_names()) {
    EXPECT_EQ(name_of(parse_test_time_augmentation(name)), name);
  }
  expect_error([] { parse_test_time_augmentation("flip"); }, {"'flip' is no test-time augmentation (none, flips, "});
}

TEST_F(TestTimeAugmentationTest, TurningBackIsExact) {
  std::vector<float> map;
  Philox random(1);
  for (int i = 0; i < 16 * 16; ++i) map.push_back(random.uniform());
  const auto photographs = inputs(1);
  for (const auto turn : turns_of(TestTimeAugmentation::dihedral)) {
    const auto there = data::turned<float>(map, 16, 16, 1, turn);
    EXPECT_EQ(data::turned<float>(there, 16, 16, 1, data::inverse(turn)), map) << name_of(turn);
    EXPECT_EQ(data::to_stored(data::to_upright(photographs[0], turn), turn), photographs[0]) << name_of(turn);
    EXPECT_EQ(there == map, turn == data::Orientation::upright) << name_of(turn);
  }
}

// But for the roundings of kernels, which treat the last pixels of a row of vectors differently.
TEST_F(TestTimeAugmentationTest, ANetworkThatTurnsWithThePhotographAnswersAsWithout) {
  Predictor pointwise = predictor(kPointwise);
  const auto photographs = inputs();
  const auto plain = pointwise.probabilities(photographs);
  for (const auto augmentation : {TestTimeAugmentation::flips, TestTimeAugmentation::dihedral}) {
    const auto maps = augmented_probabilities(pointwise, photographs, augmentation);
    for (std::size_t i = 0; i < photographs.size(); ++i) {
      EXPECT_EQ(maps[i].plain, plain[i]);
      for (std::size_t p = 0; p < plain[i].size(); ++p) ASSERT_NEAR(maps[i].mean[p], plain[i][p], 1e-6);
    }
  }
  EXPECT_NE(plain[0], plain[1]);
}

// By hand, turn by turn, for a network that turns matter to.
TEST_F(TestTimeAugmentationTest, AveragesWhatIsSaidOfTurnedCopiesTurnedBack) {
  Predictor network = predictor(kTwoGroups);
  const auto photographs = inputs(1);
  std::vector<double> sum(16 * 16);
  for (const auto turn : turns_of(TestTimeAugmentation::dihedral)) {
    const data::Image copy = data::to_upright(photographs[0], turn);
    const auto said = network.probabilities(std::span(&copy, 1)).front();
    const auto back = data::turned<float>(said, 16, 16, 1, data::inverse(turn));
    for (std::size_t p = 0; p < sum.size(); ++p) sum[p] += static_cast<double>(back[p]);
  }
  const auto maps = augmented_probabilities(network, photographs, TestTimeAugmentation::dihedral);
  for (std::size_t p = 0; p < sum.size(); ++p) ASSERT_NEAR(maps[0].mean[p], sum[p] / 8, 1e-6) << p;
  EXPECT_NE(maps[0].mean, maps[0].plain);
}

// Turning the photograph turns the averaged map, whatever the network: the turns are a group.
TEST_F(TestTimeAugmentationTest, TheMeanTurnsWithThePhotograph) {
  Predictor network = predictor(kTwoGroups);
  const auto photographs = inputs(1);
  const auto upright = augmented_probabilities(network, photographs, TestTimeAugmentation::dihedral).front().mean;
  for (const auto turn : turns_of(TestTimeAugmentation::dihedral)) {
    const data::Image copy = data::to_upright(photographs[0], turn);
    const auto maps = augmented_probabilities(network, std::span(&copy, 1), TestTimeAugmentation::dihedral);
    const auto expected = data::turned<float>(upright, 16, 16, 1, turn);
    for (std::size_t p = 0; p < expected.size(); ++p) ASSERT_NEAR(maps[0].mean[p], expected[p], 1e-6) << name_of(turn);
  }
}

}  // namespace
}  // namespace dermatome::training

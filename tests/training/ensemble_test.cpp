// Several models that answer together: the mean of what they say, also where they look at different sizes.
#include "tools/training/ensemble.h"

#include <gtest/gtest.h>

#include "tests/training/support.h"
#include "tools/training/evaluation_variants.h"

namespace dermatome::training {
namespace {

using namespace testing;
namespace fs = std::filesystem;

class EnsembleTest : public ::testing::Test {
 protected:
  EnsembleTest() : samples_(add_samples(folder_, "e", 9)) {
    for (const auto& sample : samples_) files_.push_back(sample.image);
  }

  fs::path checkpoint(const std::string& name, std::uint64_t seed, int size = 32, double threshold = 0.5) const {
    const Model model = two_groups();
    StateStore store;
    store.create(states_of(model, DType::f32), seed);
    const auto path = folder_ / name;
    write_checkpoint(path, store,
                     {.graph_text = model.canonical_text(), .preprocessing = {.size = size, .threshold = threshold}},
                     true);
    return path;
  }

  std::vector<std::vector<float>> predict(Ensemble ensemble) const {
    std::vector<std::vector<float>> maps(files_.size());
    const auto failures = predict_files(ensemble, files_, {.batch = 4, .keep_probabilities = true},
                                        [&](std::size_t i, const data::StoredGrid&, Prediction& prediction) {
                                          maps[i] = std::move(prediction.probability);
                                        });
    EXPECT_TRUE(failures.empty());
    return maps;
  }

  TemporaryFolder folder_;
  std::vector<data::Sample> samples_;
  std::vector<fs::path> files_;
};

TEST_F(EnsembleTest, SaysTheMeanOfItsMembers) {
  const std::vector<fs::path> all{checkpoint("a", 1), checkpoint("b", 2), checkpoint("c", 3, 48)};
  const auto together = predict({all, kCpuDevice, {}});
  std::vector<std::vector<std::vector<float>>> alone;
  for (const auto& one : all) alone.push_back(predict({one, kCpuDevice, {}}));
  EXPECT_NE(alone[0], alone[1]);
  for (std::size_t i = 0; i < files_.size(); ++i) {
    ASSERT_EQ(together[i].size(), alone[0][i].size());
    for (std::size_t p = 0; p < together[i].size(); ++p) {
      ASSERT_NEAR(together[i][p], (alone[0][i][p] + alone[1][i][p] + alone[2][i][p]) / 3, 1e-6) << i;
    }
  }
}

TEST_F(EnsembleTest, ReadsAPhotographOnceForAllMembersOfOneSize) {
  const std::vector<fs::path> all{checkpoint("a", 1), checkpoint("b", 2, 48), checkpoint("c", 3), checkpoint("d", 4)};
  Ensemble ensemble(all, kCpuDevice, {});
  EXPECT_EQ(ensemble.sizes_text(), "32 and 48 px");
  std::vector<int> reads(files_.size());
  const auto read = [&](std::size_t i, const Predictor& reader) {
    ++reads[i];
    return reader.read(files_[i]);
  };
  map_files(ensemble, files_, {.batch = 3, .read = read},
            [&](std::size_t, const data::StoredGrid&, std::span<const MemberMaps> members) {
              ASSERT_EQ(members.size(), 4u);
              EXPECT_EQ(members[0].plain.width, 32);
              EXPECT_EQ(members[1].plain.width, 48);
            });
  EXPECT_EQ(reads, std::vector<int>(files_.size(), 2));
}

TEST_F(EnsembleTest, AsksForAThresholdWhereMembersDiffer) {
  const std::vector<fs::path> all{checkpoint("a", 1), checkpoint("b", 2, 32, 0.4)};
  expect_error(
      [&] { (void)Ensemble(all, kCpuDevice, {}).threshold(); },
      {"the runs cut at different thresholds (0.5 and 0.4): say with --threshold where the ensemble shall cut"});
  EXPECT_EQ(Ensemble(all, kCpuDevice, {}, {.size = 0, .model = "", .threshold = 0.3}).threshold(), 0.3);
}

TEST_F(EnsembleTest, IsScoredBesideItsMembersAndWithoutAugmentation) {
  const std::vector<fs::path> all{checkpoint("a", 1), checkpoint("b", 2)};
  Ensemble ensemble(all, kCpuDevice, {}, {}, TestTimeAugmentation::flips);
  const std::vector<std::string> names{"runs/a", "runs/b"};
  const auto ladder = ladder_of(ensemble, names, {});
  std::vector<std::string> rows;
  for (const auto& variant : ladder.variants) rows.push_back(variant.name);
  EXPECT_EQ(rows, (std::vector<std::string>{"runs/a", "runs/b", "ensemble", "+ flips"}));
  EXPECT_EQ(ladder.plain, 2u);
  const auto scored = evaluate(ensemble, ladder.variants, samples_, {}, {});
  const auto expect_same = [&](const Evaluation& a, const Evaluation& b) {
    ASSERT_EQ(a.images.size(), b.images.size());
    for (std::size_t i = 0; i < a.images.size(); ++i) EXPECT_EQ(a.images[i].counts, b.images[i].counts) << i;
  };
  for (std::size_t m = 0; m < 2; ++m) {
    Ensemble alone(all[m], kCpuDevice, {});
    expect_same(scored[m], evaluate(alone, samples_, {}, {}));
  }
  Ensemble plain(all, kCpuDevice, {});
  expect_same(scored[2], evaluate(plain, samples_, {}, {}));
  expect_same(scored[3], evaluate(ensemble, samples_, {}, {}));
  const std::string text = to_text(ladder, scored, 1);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5) << text;
  const auto json = to_json(ladder, scored, 1);
  EXPECT_EQ(json[2].at("jaccard_difference"), 0.0);
  EXPECT_NEAR(json[3].at("jaccard_difference").get<double>(), scored[3].means()[kJaccard] - scored[2].means()[kJaccard],
              1e-12);
  EXPECT_TRUE(to_text(ladder_of(plain, names, {}), std::span(scored).first(1), 1).size() > 0);
  Ensemble one(all[0], kCpuDevice, {});
  EXPECT_EQ(to_text(ladder_of(one, std::span(names).first(1), {}), std::span(scored).first(1), 1), "");
}

TEST_F(EnsembleTest, EachThingThatIsDoneToTheMaskIsARowOnTopOfThoseBeforeIt) {
  const std::vector<std::string> names{"runs/a"};
  const fs::path file = checkpoint("a", 1);
  const Ensemble one(file, kCpuDevice, {});
  const auto rows_of = [&](const PostProcessing& postprocessing) {
    std::vector<std::pair<std::string, std::string>> rows;
    for (const auto& variant : ladder_of(one, names, postprocessing).variants)
      rows.emplace_back(variant.name, variant.postprocessing.text());
    return rows;
  };
  using Rows = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(rows_of({.fill_holes = true, .min_area = 0.01, .keep_largest = true}),
            (Rows{{"run", ""},
                  {"+ fill-holes", "fill-holes"},
                  {"+ min-area 0.01", "fill-holes, min-area 0.01"},
                  {"+ keep-largest", "fill-holes, min-area 0.01, keep-largest"}}));
  EXPECT_EQ(rows_of({.fill_holes = true, .keep_largest = true}),
            (Rows{{"run", ""}, {"+ fill-holes", "fill-holes"}, {"+ keep-largest", "fill-holes, keep-largest"}}));
}

}  // namespace
}  // namespace dermatome::training

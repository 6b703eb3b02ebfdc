// Many files through the network: batches with a remainder, and bad files among good ones.
#include "tools/training/predictor_files.h"

#include <gtest/gtest.h>

#include "tests/training/support.h"
#include "tools/training/predictor_outputs.h"

namespace dermatome::training {
namespace {

using namespace testing;
namespace fs = std::filesystem;

class PredictFiles : public ::testing::Test {
 protected:
  PredictFiles() : samples_(add_samples(folder_, "f", 7)) {
    for (const auto& sample : samples_) files_.push_back(sample.image);
    const Model model = two_groups();
    StateStore store;
    store.create(states_of(model, DType::f32), 8);
    write_checkpoint(folder_ / "c.safetensors", store,
                     {.graph_text = model.canonical_text(), .preprocessing = {.size = 32, .threshold = 0.5}}, true);
    ensemble_.emplace(folder_ / "c.safetensors", kCpuDevice, CompileOptions{});
  }

  std::vector<FileFailure> predict(const FilesOptions& options, const OnPrediction& on_prediction) {
    return predict_files(*ensemble_, files_, options, on_prediction, [&](std::size_t done, std::size_t total) {
      EXPECT_EQ(total, files_.size());
      done_.push_back(done);
    });
  }

  TemporaryFolder folder_;
  std::vector<data::Sample> samples_;
  std::vector<fs::path> files_;
  std::optional<Ensemble> ensemble_;
  std::vector<std::size_t> done_;
};

TEST_F(PredictFiles, GoThroughTheNetworkInBatchesWithARemainder) {
  std::vector<std::vector<float>> got(7);
  const auto failures = predict({.batch = 3, .keep_probabilities = true},
                                [&](std::size_t i, const data::StoredGrid& grid, Prediction& prediction) {
                                  EXPECT_EQ(grid.width, prediction.width);
                                  got[i] = std::move(prediction.probability);
                                });
  EXPECT_TRUE(failures.empty());
  EXPECT_EQ(done_, (std::vector<std::size_t>{3, 6, 7}));
  Predictor predictor(folder_ / "c.safetensors", kCpuDevice, {});
  for (std::size_t i = 0; i < 7; ++i) {
    const auto alone = predictor.predict(data::read_prepared(files_[i], 32));
    ASSERT_EQ(got[i].size(), alone.probability.size());
    for (std::size_t p = 0; p < got[i].size(); ++p) ASSERT_NEAR(got[i][p], alone.probability[p], 1e-5) << i;
  }
}

TEST_F(PredictFiles, ABadOneDoesNotStopTheOthers) {
  folder_.add("f1.png", std::string_view());
  folder_.add("f4.png", std::string_view("text"));
  folder_.add("f5.png", std::string_view("text"));
  std::vector<int> seen(7);
  const auto failures = predict({.batch = 2}, [&](std::size_t i, const data::StoredGrid&, Prediction&) {
    ++seen[i];
    if (i == 6) fail("{} is not wanted", files_[i].string());
  });
  EXPECT_EQ(seen, (std::vector<int>{1, 0, 1, 1, 0, 0, 1}));
  ASSERT_EQ(failures.size(), 4u);
  EXPECT_EQ(failures[0].index, 1u);
  EXPECT_NE(failures[0].cause.find("f1.png is empty"), std::string::npos) << failures[0].cause;
  EXPECT_EQ(failures[2].index, 5u);
  EXPECT_EQ(failures[3].cause, files_[6].string() + " is not wanted");
}

TEST_F(PredictFiles, FailuresAreAllNamed) {
  EXPECT_EQ(describe({}, 4, "photographs cannot be predicted"), "");
  EXPECT_EQ(describe({{2, "x is bad"}}, 4, "photographs cannot be predicted"), "x is bad");
  EXPECT_EQ(describe({{2, "x is bad"}, {3, "y is bad"}}, 4, "photographs cannot be predicted"),
            "2 of 4 photographs cannot be predicted:\n  x is bad\n  y is bad");
  std::vector<FileFailure> many(1013, FileFailure{0, "z"});
  const std::string text = describe(many, 2000, "photographs cannot be scored");
  EXPECT_EQ(std::count(text.begin(), text.end(), 'z'), 1000);
  EXPECT_TRUE(text.starts_with("1013 of 2000 photographs cannot be scored:\n  z\n")) << text;
  EXPECT_TRUE(text.ends_with("\n  z\n  and 13 more")) << text;
}

std::vector<std::string> names_of(const std::vector<PlannedFile>& files) {
  std::vector<std::string> names;
  for (const auto& file : files) names.push_back(file.name.generic_string());
  return names;
}

class PlanFiles : public ::testing::Test {
 protected:
  std::vector<PlannedFile> plan(const std::vector<std::string>& inputs, const std::string& out = "out") const {
    return plan_all(inputs, out).files;
  }
  FilePlan plan_all(const std::vector<std::string>& inputs, const std::string& out = "out") const {
    std::vector<fs::path> paths;
    for (const auto& input : inputs) paths.push_back(folder_ / input);
    return plan_files(paths, folder_ / out, {"_segmentation.png", "_overlay.png"});
  }
  TemporaryFolder folder_;
};

TEST_F(PlanFiles, MirrorTheFoldersGiven) {
  for (const char* name :
       {"in/b.jpg", "in/clinic/a.jpg", "in/clinic/deep/a.png", "in/.hidden/x.jpg", "alone.jpeg", "in/notes.txt"})
    folder_.add(name);
  EXPECT_EQ(names_of(plan({"in", "alone.jpeg"})),
            (std::vector<std::string>{"b", "clinic/a", "clinic/deep/a", "alone"}));
  EXPECT_EQ(names_of(plan({"in/", "in/b.jpg"})), (std::vector<std::string>{"b", "clinic/a", "clinic/deep/a"}))
      << "each file once";
}

TEST_F(PlanFiles, RefuseTwoPhotographsOfOneName) {
  for (const char* name : {"in/a.jpg", "in/a.png", "other/a.jpg"}) folder_.add(name);
  expect_error(
      [&] { plan({"in"}); },
      {"in/a.jpg and ", "in/a.png would write the same mask a_segmentation.png; predict them into two folders"});
  expect_error([&] { plan({"in/a.jpg", "other"}); }, {"in/a.jpg and ", "other/a.jpg would write the same mask"});
}

TEST_F(PlanFiles, PassOverWhatWasPredictedBefore) {
  for (const char* name : {"in/a.jpg", "in/masks/a_segmentation.png", "in/masks/a_overlay.png"}) folder_.add(name);
  EXPECT_EQ(names_of(plan({"in"}, "in/masks")), (std::vector<std::string>{"a"}));
  EXPECT_EQ(names_of(plan({"in"}, "in/masks/../masks")), (std::vector<std::string>{"a"}));
  folder_.add("only/x/b.jpg");
  expect_error([&] { plan({"only"}, "only/x"); }, {"all photographs lie below ", "only/x, the folder given to --out"});
}

TEST_F(PlanFiles, NeverOverwriteAPhotograph) {
  for (const char* name : {"in/a.jpg", "in/a_segmentation.png"}) folder_.add(name);
  expect_error([&] { plan({"in"}, "in"); }, {"the prediction of ", "in/a.jpg would overwrite the mask ",
                                             "in/a_segmentation.png; give another folder to --out"});
  expect_error(
      [&] {
        plan({"in/a.jpg", "in/a_segmentation.png"}, "in");
      },
      {"in/a.jpg would overwrite the photograph ", "in/a_segmentation.png; give"});
  EXPECT_EQ(plan({"in/a.jpg"}, "in").size(), 1u) << "a mask that is no photograph of this prediction is written again";
}

TEST_F(PlanFiles, LeaveOutMasksThatAreNotGivenThemselves) {
  for (const char* name : {"in/images/a.jpg", "in/Masks/a.png", "in/b.jpg", "in/b_mask.png", "gt_GroundTruth/c.png"})
    folder_.add(name);
  const FilePlan plan = plan_all({"in/", "gt_GroundTruth"});
  EXPECT_EQ(names_of(plan.files), (std::vector<std::string>{"b", "images/a"}));
  EXPECT_EQ(plan.masks.size(), 3u);
  EXPECT_TRUE(masks_sentence(plan).starts_with("3 masks are left out: ")) << masks_sentence(plan);
  EXPECT_EQ(names_of(plan_all({"in", "in/b_mask.png"}).files), (std::vector<std::string>{"b", "images/a", "b_mask"}));
  EXPECT_EQ(plan_all({"in", "in/b_mask.png"}).masks.size(), 1u);
  EXPECT_EQ(masks_sentence(plan_all({"in/images"})), "");
  expect_error([&] { plan_all({"gt_GroundTruth"}); },
               {"all pictures given are masks by their names or folders, such as ", "gt_GroundTruth/c.png"});
}

TEST(PredictionTable, HasARowAPhotograph) {
  Prediction p{.width = 10, .height = 5, .mask = data::make_image(10, 5, 1), .lesion_pixels = 5};
  p.box = {.left = 2, .top = 1, .right = 7, .bottom = 2};
  p.mean_probability = 0.125;
  p.lesion_probability = 0.75;
  EXPECT_EQ(table_header(),
            "image,mask,width,height,empty,area_share,box_left,box_top,box_width,box_height,mean_probability,lesion_"
            "probability\n");
  EXPECT_EQ(table_row({"in/a,b.jpg", "a,b"}, "_segmentation.png", p),
            "\"in/a,b.jpg\",\"a,b_segmentation.png\",10,5,0,0.100000,2,1,5,1,0.125000,0.750000\n");
}

TEST(PredictionTable, KeepsRowsOfOtherPhotographsAndMasks) {
  const TemporaryFolder folder;
  EXPECT_TRUE(read_table(folder / "none.csv").rows.empty());
  const std::string other = "\"in/a,b.jpg\",\"a,b_segmentation.png\",10,5\n";
  const fs::path file = folder.add(
      "p.csv", table_header() + other + "in/c.jpg,c_segmentation.png,1,1\n" + "old/d.jpg,d_segmentation.png,1,1\n");
  const EarlierTable table = read_table(file);
  EXPECT_EQ(table.rows.size(), 3u);
  EXPECT_FALSE(table.other_columns);
  EXPECT_EQ(kept_rows(table, {"in/c.jpg,sub/c_segmentation.png,2,2\n", "new/d.jpg,d_segmentation.png,2,2\n"}),
            std::vector<std::string>{other})
      << "one photograph anew, and one that wrote over the mask of another";
  const EarlierTable foreign = read_table(folder.add("q.csv", std::string_view("image,mask\nx.jpg,x.png\n")));
  EXPECT_TRUE(foreign.other_columns);
  EXPECT_TRUE(foreign.rows.empty());
}

}  // namespace
}  // namespace dermatome::training

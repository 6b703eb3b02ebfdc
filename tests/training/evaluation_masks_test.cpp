// Masks in two folders: how they are paired, and what is refused.
#include "tools/training/evaluation_masks.h"

#include <gtest/gtest.h>

#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;

class MaskFolders : public ::testing::Test {
 protected:
  void add(const std::string& name, int lesion_pixels = 10, int width = 6, int height = 4) {
    data::Image mask = data::make_image(width, height, 1);
    std::fill_n(mask.pixels.begin(), lesion_pixels, std::uint8_t{255});
    std::filesystem::create_directories((folder_ / name).parent_path());
    data::write_png(folder_ / name, mask);
  }
  MaskPairs pairs() const { return pair_masks(folder_ / "p", folder_ / "t"); }

  TemporaryFolder folder_;
};

TEST_F(MaskFolders, ArePairedByNameWhateverTheSuffix) {
  for (const char* name :
       {"t/a_segmentation.png", "t/b_Segmentation.png", "t/deep/c_mask.png", "p/a.png", "p/b.png", "p/more/c.png"})
    add(name);
  const auto found = pairs();
  ASSERT_EQ(found.pairs.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(found.pairs[i].id, std::string(1, static_cast<char>('a' + i)));
  EXPECT_EQ(found.pairs[2].prediction, folder_ / "p/more/c.png");
  EXPECT_TRUE(found.extra.empty());
}

TEST_F(MaskFolders, ArePairedInAnyCase) {
  for (const char* name : {"t/IMG_1_mask.png", "t/b_mask.png", "p/img_1_Segmentation.PNG", "p/B_MASK.png"}) add(name);
  const auto found = pairs();
  ASSERT_EQ(found.pairs.size(), 2u);
  EXPECT_EQ(found.pairs[0].id, "IMG_1");
  EXPECT_EQ(found.pairs[0].prediction, folder_ / "p/img_1_Segmentation.PNG");
  EXPECT_EQ(found.pairs[1].id, "b");
  EXPECT_EQ(found.pairs[1].prediction, folder_ / "p/B_MASK.png");
  EXPECT_TRUE(found.extra.empty());
}

TEST_F(MaskFolders, MayHoldPhotographsAndOverlays) {
  for (const char* name : {"t/a_segmentation.png", "t/a.png", "p/a_segmentation.png", "p/a_overlay.png", "p/a.png"})
    add(name);
  folder_.add("t/ATTRIBUTION.txt");
  folder_.add("p/predictions.csv");
  folder_.add("p/a_probability.npy");
  EXPECT_EQ(pairs().pairs.size(), 1u);
  EXPECT_TRUE(pairs().extra.empty());
}

TEST_F(MaskFolders, NameMissingAndExtraPredictions) {
  for (const char* name : {"t/a_mask.png", "t/b_mask.png", "t/c_mask.png", "p/a_mask.png", "p/x_mask.png"}) add(name);
  expect_error([&] { pairs(); }, {"2 of 3 true masks in", "/t have no prediction in", "/p: b, c"});
  for (const char* id : {"d", "e", "f", "g"}) add(fmt::format("t/{}_mask.png", id));
  expect_error([&] { pairs(); }, {"6 of 7 true masks in", "/p: b, c, d, e, f, g"});
  for (const char* id : {"b", "c", "d", "e", "f", "g"}) add(fmt::format("p/{}_mask.png", id));
  EXPECT_EQ(pairs().extra, std::vector<std::string>{"x_mask.png"});
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g"})
    std::filesystem::remove(folder_ / (std::string("p/") + name + "_mask.png"));
  expect_error([&] { pairs(); },
               {"no predicted mask in", "has the name of a true mask in", "a_segmentation.png is sought, for example"});
}

TEST_F(MaskFolders, RefuseTwoMasksOfOneName) {
  for (const char* name : {"t/a_mask.png", "p/a_mask.png", "p/other/a_segmentation.png"}) add(name);
  expect_error([&] { pairs(); },
               {"p/a_mask.png and ", "p/other/a_segmentation.png are both predicted masks of a; leave one of them"});
}

TEST_F(MaskFolders, MustExistAndHoldMasks) {
  add("t/a_mask.png");
  expect_error([&] { pairs(); }, {"the folder ", "/p does not exist"});
  folder_.add("p");
  expect_error([&] { pairs(); }, {"/p is a file, not a folder"});
  expect_error([&] { pair_masks(folder_ / "t", folder_ / "p"); }, {"/p is a file, not a folder"});
  std::filesystem::remove(folder_ / "p");
  std::filesystem::create_directories(folder_ / "p");
  expect_error([&] { pairs(); }, {"/p holds no predicted masks"});
  expect_error([&] { pair_masks(folder_ / "t", folder_ / "p"); }, {"/p holds no true masks"});
}

TEST_F(MaskFolders, AreScoredInTheOrderOfTheNames) {
  for (int i = 0; i < 20; ++i) {
    add(fmt::format("t/m{:02}_mask.png", i), 20);
    add(fmt::format("p/m{:02}_mask.png", i), i);
  }
  std::size_t last = 0;
  const auto evaluation = evaluate_masks(pairs().pairs, [&](std::size_t done, std::size_t) { last = done; });
  EXPECT_EQ(last, 20u);
  ASSERT_EQ(evaluation.images.size(), 20u);
  for (int i = 0; i < 20; ++i) {
    const auto& image = evaluation.images[static_cast<std::size_t>(i)];
    EXPECT_EQ(image.id, fmt::format("m{:02}", i));
    EXPECT_DOUBLE_EQ(image.scores[kJaccard], i / 20.0);
    EXPECT_EQ(image.width, 6);
  }
}

TEST_F(MaskFolders, NameEveryFileThatCannotBeScored) {
  for (const char* name : {"a", "b", "c"}) {
    add(fmt::format("t/{}_mask.png", name));
    add(fmt::format("p/{}_mask.png", name));
  }
  add("p/b_mask.png", 3, 5, 4);
  expect_error([&] { evaluate_masks(pairs().pairs); },
               {"p/b_mask.png is 5x4 pixels but the true mask ", "t/b_mask.png is 6x4"});
  folder_.add("t/c_mask.png", std::string_view("text"));
  expect_listed([&] { evaluate_masks(pairs().pairs); }, {"2 of 3 masks cannot be scored:"},
                {"b_mask.png", "c_mask.png"});
}

TEST_F(MaskFolders, SixteenBitMasksAreReadAsTheyAreOrScaled) {
  add("t/a_mask.png", 12);
  // Rows of 6 big-endian samples: 65535 is white; a file whose values fit 8 bits keeps them.
  data::testing::Bytes scaled, small;
  for (int i = 0; i < 24; ++i) {
    const std::uint8_t value = i < 12 ? 255 : 0;
    scaled.insert(scaled.end(), {value, value});
    small.insert(small.end(), {0, value});
  }
  for (const auto& rows : {scaled, small}) {
    folder_.add("p/a_mask.png", data::testing::make_png(rows, 6, 4, {.bits = 16, .colour_type = PNG_COLOR_TYPE_GRAY}));
    EXPECT_EQ(evaluate_masks(pairs().pairs).images[0].scores[kJaccard], 1);
  }
}

}  // namespace
}  // namespace dermatome::training

// Finding photographs and their masks in folders as people have them.
#include "data/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/folder.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::expect_listed;
using testing::TemporaryFolder;

std::vector<std::string> ids_of(const std::vector<Sample>& samples) {
  std::vector<std::string> ids;
  for (const auto& sample : samples) ids.push_back(sample.id);
  return ids;
}

void add_pair(const TemporaryFolder& folder, const std::string& images, const std::string& masks, const std::string& id,
              const std::string& suffix = "_segmentation") {
  folder.add(fmt::format("{}/{}.jpg", images, id));
  folder.add(fmt::format("{}/{}{}.png", masks, id, suffix));
}

void add_2018(const TemporaryFolder& folder, const std::string& part, const std::string& id) {
  add_pair(folder, fmt::format("ISIC2018_Task1-2_{}_Input", part), fmt::format("ISIC2018_Task1_{}_GroundTruth", part),
           id);
}

using Ids = std::vector<std::string>;

TEST(FindSamples, KnowsTheChallengeOf2018) {
  const TemporaryFolder folder;
  add_2018(folder, "Training", "ISIC_0000003");
  add_2018(folder, "Training", "ISIC_0000001");
  add_2018(folder, "Validation", "ISIC_0012255");
  add_2018(folder, "Test", "ISIC_0012169");
  for (const char* clutter : {"ATTRIBUTION.txt", "LICENSE.txt", ".DS_Store", "._ISIC_0000001.jpg", "Thumbs.db",
                              "ISIC_0000001_superpixels.png"}) {
    folder.add(fmt::format("ISIC2018_Task1-2_Training_Input/{}", clutter));
  }
  const auto samples = find_samples(folder.path());
  EXPECT_EQ(ids_of(samples), (Ids{"ISIC_0000001", "ISIC_0000003"}));
  EXPECT_EQ(samples[0].image, folder / "ISIC2018_Task1-2_Training_Input/ISIC_0000001.jpg");
  EXPECT_EQ(samples[0].mask, folder / "ISIC2018_Task1_Training_GroundTruth/ISIC_0000001_segmentation.png");
  EXPECT_EQ(ids_of(find_samples(folder.path(), Part::validation)), Ids{"ISIC_0012255"});
  EXPECT_EQ(ids_of(find_samples(folder.path(), Part::test)), Ids{"ISIC_0012169"});
}

TEST(FindSamples, KnowsTheChallengesOf2017And2016) {
  const TemporaryFolder isic2017;
  add_pair(isic2017, "ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth", "ISIC_1");
  add_pair(isic2017, "ISIC-2017_Test_v2_Data", "ISIC-2017_Test_v2_Part1_GroundTruth", "ISIC_2");
  EXPECT_EQ(ids_of(find_samples(isic2017.path())), Ids{"ISIC_1"});
  EXPECT_EQ(ids_of(find_samples(isic2017.path(), Part::test)), Ids{"ISIC_2"});
  const TemporaryFolder isic2016;
  add_pair(isic2016, "ISBI2016_ISIC_Part1_Training_Data", "ISBI2016_ISIC_Part1_Training_GroundTruth", "ISIC_3",
           "_Segmentation");
  EXPECT_EQ(ids_of(find_samples(isic2016.path())), Ids{"ISIC_3"});
  add_pair(isic2017, "ISIC-2017_Validation_Data", "ISIC-2017_Validation_Part1_GroundTruth", "ISIC_4");
  EXPECT_EQ(ids_of(find_samples(isic2017.path(), Part::validation)), Ids{"ISIC_4"});
  add_pair(isic2016, "ISBI2016_ISIC_Part1_Test_Data", "ISBI2016_ISIC_Part1_Test_GroundTruth", "ISIC_5");
  EXPECT_EQ(ids_of(find_samples(isic2016.path(), Part::test)), Ids{"ISIC_5"});
  EXPECT_EQ(ids_of(find_samples(isic2016.path())), Ids{"ISIC_3"}) << "the training part";
}

TEST(FindSamples, TakesTheOnlyPartThereIs) {
  const TemporaryFolder folder;
  add_2018(folder, "Validation", "ISIC_5");
  EXPECT_EQ(ids_of(find_samples(folder.path())), Ids{"ISIC_5"});
  expect_error([&] { find_samples(folder.path(), Part::train); },
               {folder.path().string(), "no train part", "ISIC2018_Task1-2_Validation_Input"});
  add_2018(folder, "Test", "ISIC_6");
  expect_error([&] { find_samples(folder.path()); }, {"several data sets", "Validation_Input", "Test_Input"});
}

TEST(FindSamples, LooksThroughDoublyUnpackedFolders) {
  const TemporaryFolder folder;
  add_pair(folder, "ISIC-2017_Training_Data/ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth", "ISIC_1");
  EXPECT_EQ(ids_of(find_samples(folder.path())), Ids{"ISIC_1"});
}

TEST(FindSamples, SaysWhatIsMissing) {
  const TemporaryFolder folder;
  expect_error([&] { find_samples(folder / "nowhere"); }, {"nowhere", "does not exist"});
  expect_error([&] { find_samples(folder.path()); }, {folder.path().string(), "ISIC-2017_Training_Data"});
  folder.add("ISIC-2017_Training_Data/ISIC_1.jpg");
  expect_error([&] { find_samples(folder.path()); }, {"ISIC-2017_Training_Part1_GroundTruth", "masks"});
  expect_error([&] { find_samples(folder / "ISIC-2017_Training_Data/ISIC_1.jpg"); }, {"a file, not a folder"});
}

TEST(FindSamples, PairsByEverySuffix) {
  const TemporaryFolder folder;
  add_pair(folder, "i", "m", "a", "");
  add_pair(folder, "i", "m", "b", "_segmentation");
  add_pair(folder, "i", "m", "c", "_Segmentation");
  add_pair(folder, "i", "m", "d", "_mask");
  add_pair(folder, "i", "m", "e", "_lesion");
  folder.add("m/without_photograph_mask.png");
  folder.add("i/F.JPEG");
  folder.add("m/F.PNG");
  EXPECT_EQ(ids_of(find_samples(folder / "i", folder / "m")), (Ids{"F", "a", "b", "c", "d", "e"}));
}

TEST(FindSamples, PairsInAnyCase) {
  const TemporaryFolder folder;
  for (const char* image : {"i/IMG_1.JPG", "i/img_2.jpeg", "i/Three.Png", "i/four.TIFF", "i/five.tif", "i/six.BMP"}) {
    folder.add(image);
  }
  for (const char* mask : {"m/img_1_MASK.PNG", "m/IMG_2_Segmentation.png", "m/three_Lesion.BMP", "m/FOUR.tif",
                           "m/Five_SEGMENTATION.png", "m/six_mask.TIFF"}) {
    folder.add(mask);
  }
  const Pairing pairing = pair_folders(folder / "i", folder / "m");
  EXPECT_EQ(ids_of(pairing.samples), (Ids{"IMG_1", "Three", "five", "four", "img_2", "six"}));
  EXPECT_TRUE(pairing.unpaired.empty());
  EXPECT_TRUE(pairing.lone_masks.empty());
  EXPECT_EQ(pairing.samples[0].mask, folder / "m/img_1_MASK.PNG");
}

TEST(FindSamples, KnowsFoldersNamedImagesAndMasks) {
  const TemporaryFolder folder;
  add_pair(folder, "Images", "MASKS", "a", "_mask");
  EXPECT_EQ(ids_of(find_samples(folder.path())), Ids{"a"});
  EXPECT_EQ(ids_of(find_samples(folder.path(), Part::validation)), Ids{"a"});
  EXPECT_FALSE(has_part(folder.path(), Part::train));
  fs::remove_all(folder / "MASKS");
  expect_error([&] { find_samples(folder.path()); }, {"two folders images and masks", "--images and --masks"});
}

TEST(FindSamples, TellsWhatHasNoPartner) {
  const TemporaryFolder folder;
  add_pair(folder, "i", "m", "good");
  add_pair(folder, "i", "m", "two");
  folder.add("m/two_mask.png");
  folder.add("i/alone.jpg");
  folder.add("i/double.jpg");
  folder.add("i/double.png");
  folder.add("m/nobody_mask.png");
  const Pairing pairing = pair_folders(folder / "i", folder / "m");
  EXPECT_EQ(ids_of(pairing.samples), Ids{"good"});
  EXPECT_EQ(pairing.photographs(), 4u);
  ASSERT_EQ(pairing.unpaired.size(), 3u);
  EXPECT_EQ(pairing.unpaired[0].id, "alone");
  EXPECT_EQ(cause_of(pairing.unpaired[0], pairing), "no mask in " + (folder / "m").string());
  EXPECT_EQ(cause_of(pairing.unpaired[1], pairing), "a name that 2 photographs share: double.jpg and double.png");
  EXPECT_EQ(cause_of(pairing.unpaired[2], pairing),
            "2 masks in " + (folder / "m").string() + ": two_segmentation.png and two_mask.png");
  EXPECT_EQ(pairing.lone_masks, std::vector<fs::path>{folder / "m/nobody_mask.png"});
  EXPECT_NO_THROW(check_pairing(pairing, true));
  expect_listed([&] { check_pairing(pairing); }, {"3 of 4 photographs", "--skip-bad"},
                {"alone has no mask in", "double has a name that 2 photographs share: double.jpg and double.png",
                 "two has 2 masks in"});
}

TEST(FindSamples, PairsInsideOneFolder) {
  const TemporaryFolder folder;
  add_pair(folder, "all", "all", "x", "_lesion");
  add_pair(folder, "all", "all", "y", "_mask");
  const auto samples = find_samples(folder / "all", folder / "all");
  EXPECT_EQ(ids_of(samples), (Ids{"x", "y"}));
  EXPECT_EQ(samples[0].mask, folder / "all/x_lesion.png");
}

TEST(FindSamples, CountsAndNamesPhotographsWithoutMask) {
  const TemporaryFolder folder;
  for (int i = 0; i < 9; ++i) add_pair(folder, "i", "m", fmt::format("p{}", i));
  std::vector<std::string> causes;
  for (int i = 1; i < 9; ++i) {
    fs::remove(folder / fmt::format("m/p{}_segmentation.png", i));
    causes.push_back(fmt::format("  p{} has no mask in {}", i, (folder / "m").string()));
  }
  expect_listed([&] { find_samples(folder / "i", folder / "m"); },
                {"8 of 9 photographs in ", (folder / "i").string(), "--skip-bad leaves them out"}, causes);
  fs::remove(folder / "m/p0_segmentation.png");
  expect_error([&] { find_samples(folder / "i", folder / "m"); }, {"none of the 9", "p0_segmentation.png"});
}

TEST(FindSamples, RefusesAmbiguousNames) {
  const TemporaryFolder folder;
  add_pair(folder, "i", "m", "a");
  add_pair(folder, "i", "m", "c");
  folder.add("i/a.png");
  expect_error([&] { find_samples(folder / "i", folder / "m"); }, {"1 of 2 photographs", "a.jpg and a.png"});
  fs::remove(folder / "i/a.png");
  fs::remove(folder / "i/c.jpg");
  folder.add("m/a_mask.png");
  expect_error([&] { find_samples(folder / "i", folder / "m"); },
               {"no photograph", "a has 2 masks", "a_segmentation.png and a_mask.png"});
  add_pair(folder, "i", "m", "b");
  expect_error(
      [&] { find_samples(folder / "i", folder / "m"); },
      {"1 of 2 photographs", "a has 2 masks in", "a_segmentation.png and a_mask.png", "--skip-bad leaves it out"});
  fs::create_directory(folder / "empty");
  expect_error([&] { find_samples(folder / "empty", folder / "m"); }, {"empty", "no photographs"});
}

TEST(FindSamples, SeesPicturesThatAreRefusedLater) {
  const TemporaryFolder folder;
  const Ids ids{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
  std::vector<fs::path> photographs;
  for (const char* name :
       {"a.heic", "b.WEBP", "c.gif", "d.heif", "e.avif", "f.jp2", "g.NEF", "h.dng", "i.cr2", "j.arw"}) {
    photographs.push_back(folder.add(fmt::format("i/{}", name)));
    folder.add(fmt::format("m/{}_mask.png", name[0]));
  }
  EXPECT_EQ(ids_of(find_samples(folder / "i", folder / "m")), ids);
  const std::vector<fs::path> paths{folder / "i"};
  EXPECT_EQ(find_images(paths, false), photographs);
}

TEST(FindSamples, PassesOverRawPicturesBesideTheirJpeg) {
  const TemporaryFolder folder;
  for (const char* name : {"i/a.jpg", "i/a.NEF", "i/b.dng", "m/a_mask.png", "m/b_mask.png"}) folder.add(name);
  const auto samples = find_samples(folder / "i", folder / "m");
  EXPECT_EQ(ids_of(samples), (Ids{"a", "b"}));
  EXPECT_EQ(find_images(std::vector<fs::path>{folder / "i"}, false),
            (std::vector<fs::path>{folder / "i/a.jpg", folder / "i/b.dng"}));
}

TEST(FindImages, ListsFoldersAndTakesFilesAsGiven) {
  const TemporaryFolder folder;
  folder.add("d/b.png");
  folder.add("d/a.jpg");
  folder.add("d/notes.txt");
  folder.add("d/.hidden.jpg");
  folder.add("d/deep/c.jpg");
  folder.add("d/.cache/e.jpg");
  folder.add("odd_name");
  const std::vector<fs::path> paths{folder / "odd_name", folder / "d", folder / "d/a.jpg"};
  EXPECT_EQ(find_images(paths, false),
            (std::vector<fs::path>{folder / "odd_name", folder / "d/a.jpg", folder / "d/b.png"}));
  EXPECT_EQ(find_images(paths, true), (std::vector<fs::path>{folder / "odd_name", folder / "d/a.jpg",
                                                             folder / "d/b.png", folder / "d/deep/c.jpg"}));
}

TEST(MasksAmong, KnowsThemByTheirPlaces) {
  const TemporaryFolder folder;
  const std::vector<std::string> photographs{"d/lone/masks/m.png", "d/a.jpg", "d/b_lesion.jpg", "d/images/x.jpg"};
  const std::vector<std::string> masks{"d/A_Segmentation.PNG", "d/a_lesion.png",
                                       "d/a_mask.png",         "d/masks/x.png",
                                       "d/masks/deep/y.png",   "d/ISIC2018_Task1_Test_GroundTruth/z.png"};
  std::vector<fs::path> expected;
  for (const auto& name : photographs) folder.add(name);
  for (const auto& name : masks) expected.push_back(folder.add(name));
  std::sort(expected.begin(), expected.end());
  const fs::path root = folder / "d";
  EXPECT_EQ(masks_among(list_pictures(root, true), root), expected);
  EXPECT_EQ(masks_among(list_pictures(root / "", true), root / "").size(), expected.size());
  EXPECT_EQ(masks_among(list_pictures(root / "masks", true), root / "masks").size(), 2u) << "beside images";
  EXPECT_EQ(masks_among(list_pictures(root / "images", true), root / "images").size(), 0u);
}

TEST(FindImages, RefusesWhatGivesNothing) {
  const TemporaryFolder folder;
  folder.add("d/deep/c.jpg");
  const std::vector<fs::path> shallow{folder / "d"};
  expect_error([&] { find_images(shallow, false); }, {(folder / "d").string(), "--recursive"});
  const std::vector<fs::path> missing{folder / "x.jpg"};
  expect_error([&] { find_images(missing, false); }, {"x.jpg", "does not exist"});
  expect_error([] { find_images({}, false); }, {"empty list"});
}

}  // namespace
}  // namespace dermatome::data

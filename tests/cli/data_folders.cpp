// Photographs and masks as people have them: folders of their own, odd masks, bad files left out on request.
#include "data/codec.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

using data::testing::disc;
using data::testing::random_image;

class DataFolders : public CommandLine {
 protected:
  // A photograph of 96x72 pixels and its mask, as PNG.
  void add_pair(const std::string& images, const std::string& masks, const std::string& id,
                const std::string& suffix) const {
    folder_.add(images + "/" + id + ".png",
                data::encode_png(random_image(96, 72, 3, std::hash<std::string>()(images + id))));
    folder_.add(masks + "/" + id + suffix + ".png", data::encode_png(disc(96, 72, 20)));
  }

  static std::vector<std::string> training_on(std::vector<std::string> data, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"train",   "--run",   "r",       "--threads", "1", "model=tiny.graph",
                                       "size=32", "batch=2", "epochs=1"};
    arguments.insert(arguments.end(), data.begin(), data.end());
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  static void expect_told(const Outcome& outcome, const std::vector<std::string>& lines) {
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    for (const auto& line : lines) {
      EXPECT_NE(("\n" + outcome.err).find("\n" + line), std::string::npos) << line << " not in:\n" << outcome.err;
    }
  }
};

TEST_F(DataFolders, TwoFoldersOfOnesOwnAreTrainedOnAndScored) {
  for (const char* id : {"a", "bb", "ccc", "dddd"}) add_pair("photos", "outlines", id, "_Mask");
  const Outcome outcome =
      run(training_on({"--images", "photos", "--masks", "outlines"}, {"--validation-share", "0.25"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Outcome evaluation =
      run({"evaluate", "--run", "r", "--images", "photos", "--masks", "outlines", "--threads", "1"});
  EXPECT_EQ(evaluation.code, 0) << evaluation.err;
  EXPECT_EQ(run({"report", "r", "--threads", "1"}).code, 0) << "the run remembers both folders";
  expect_refused(2, {"train", "--run", "r2", "--images", "photos"}, {"--images requires --masks"});
  expect_refused(2, {"train", "--run", "r2", "--data", "data", "--images", "photos", "--masks", "outlines"},
                 {"cannot be given together"});
  expect_refused(1, {"train", "--run", "r2", "--images", "photos", "--masks", "nowhere"}, {"nowhere does not exist"});
}

TEST_F(DataFolders, FoldersNamedImagesAndMasksAreFound) {
  for (const char* id : {"a", "bb", "ccc"}) add_pair("mine/images", "mine/masks", id, "");
  expect_told(run(training_on({"--data", "mine"}, {"--validation-share", "0"})), {"3 photographs to train on"});
}

TEST_F(DataFolders, OddMasksAreRepairedAndTheirNumbersTold) {
  for (const char* id : {"a", "bb", "ccc", "dddd", "eeeee"}) add_pair("mine/images", "mine/masks", id, "");
  folder_.add("mine/masks/a.png", data::encode_png(disc(96, 72, 20, 1)));
  folder_.add("mine/masks/bb.png", data::encode_png(data::to_rgb(disc(96, 72, 20))));
  folder_.add("mine/masks/ccc.png", data::encode_png(disc(192, 144, 40)));
  folder_.add("mine/masks/nobody.png", data::encode_png(disc(96, 72, 20)));
  const Outcome outcome = run(training_on({"--data", "mine"}, {"--validation-share", "0"}));
  expect_told(outcome,
              {"1 of 5 masks hold 0 and 1; they were read as 0 and 255\n",
               "1 of 5 masks are stored in colour; their channels are equal, and one was taken\n",
               "1 of 5 masks have another size than their photograph but its shape; they were scaled\n",
               "1 mask(s) in mine/masks belong to no photograph in mine/images and are passed over: nobody.png\n"});
}

TEST_F(DataFolders, MasksThatTrainButCannotBeScoredAreTold) {
  for (const char* id : {"a", "bb", "ccc", "dddd"}) add_pair("mine/images", "mine/masks", id, "");
  const auto trained = [&] { return training_on({"--data", "mine", "--overwrite"}, {"--validation-share", "0"}); };
  const Outcome whole = run(trained());
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(whole.err.find("evaluate will refuse"), std::string::npos) << whole.err;
  const auto picture = data::testing::smooth_image(96, 72);
  folder_.add("mine/images/turned.jpg",
              data::testing::make_jpeg(picture.pixels, 96, 72, {.app1 = data::testing::exif_block(6, true)}));
  folder_.add("mine/masks/turned.png", data::encode_png(disc(72, 96, 20)));
  folder_.add("mine/masks/ccc.png", data::encode_png(disc(192, 144, 40)));
  folder_.add("mine/masks/dddd.png", data::encode_png(disc(96, 72, 20, 1)));  // of its photograph's size: scored
  expect_told(run(trained()),
              {"evaluate will refuse 2 of these masks, as it takes only those of their photograph's size; `dermatome "
               "check --fix DIR` writes a copy that can be scored\n"});
  const std::string mend = "; `dermatome check --fix` writes masks of the right size";
  expect_listed({"evaluate", "--run", "r", "--data", "mine", "--threads", "1"},
                "2 of 5 photographs cannot be scored; repair or remove them, or leave them out with --skip-bad:",
                {"mine/masks/ccc.png is 192x144 pixels but its photograph mine/images/ccc.png is 96x72" + mend,
                 "mine/masks/turned.png is 72x96 pixels but its photograph mine/images/turned.jpg is 96x72" + mend});
}

TEST_F(DataFolders, BadFilesAreNamedAndLeftOutOnRequest) {
  for (const char* id : {"a", "bb", "ccc", "dddd", "eeeee", "ffffff"}) add_pair("mine/images", "mine/masks", id, "");
  folder_.add("mine/images/a.png", std::string_view("this is a text\n"));
  folder_.add("mine/masks/bb.png", std::string_view());
  fs::remove(folder_ / "mine/masks/ccc.png");
  const auto strict = training_on({"--data", "mine"}, {"--validation-share", "0.2"});
  const std::string advice = "cannot be used; repair or remove them, or leave them out with --skip-bad:";
  const std::string text = "mine/images/a.png is a text, not a picture";
  expect_listed(strict, "3 of 6 photographs in mine/images " + advice,
                {"ccc has no mask in mine/masks", text, "mine/masks/bb.png is empty"});
  EXPECT_FALSE(fs::exists(folder_ / "r"));
  folder_.add("mine/masks/ccc.png", data::encode_png(disc(96, 72, 20)));
  expect_listed(strict, "2 of 6 samples " + advice, {text, "mine/masks/bb.png is empty"});
  fs::remove(folder_ / "mine/masks/ccc.png");
  const Outcome skipping = run(training_on({"--data", "mine", "--skip-bad"}, {"--validation-share", "0.6"}));
  expect_told(skipping,
              {"left out: ccc has no mask in mine/masks\n", "left out: mine/images/a.png is a text, not a picture\n",
               "left out: mine/masks/bb.png is empty\n"});
  expect_listed({"evaluate", "--run", "r", "--data", "mine", "--threads", "1"},
                "3 of 6 photographs in mine/images " + advice,
                {"ccc has no mask in mine/masks", text, "mine/masks/bb.png is empty"});
  const Outcome evaluation = run({"evaluate", "--run", "r", "--data", "mine", "--skip-bad", "--threads", "1"});
  expect_told(evaluation, {"left out: mine/images/a.png is a text", "left out: mine/masks/bb.png is empty",
                           "3 photographs, 32 px"});
  EXPECT_EQ(run({"report", "r", "--threads", "1"}).code, 0) << "the run remembers that bad files were left out";
}

TEST_F(DataFolders, MoreBadFilesThanFitOnAScreenAreAllNamed) {
  std::vector<std::string> unreadable;
  std::vector<std::string> unpaired;
  for (int i = 10; i < 40; ++i) {
    const std::string id = fmt::format("p{}", i);
    add_pair("mine/images", "mine/masks", id, "");
    if (i < 23) fs::remove(folder_ / ("mine/masks/" + id + ".png"));
    if (i >= 23 && i < 37) folder_.add("mine/images/" + id + ".png", std::string_view("this is a text\n"));
    if (i < 23) unpaired.push_back(id + " has no mask in mine/masks");
    if (i >= 23 && i < 37) unreadable.push_back("mine/images/" + id + ".png is a text, not a picture");
  }
  auto causes = unpaired;
  causes.insert(causes.end(), unreadable.begin(), unreadable.end());
  const std::string advice = "cannot be used; repair or remove them, or leave them out with --skip-bad:";
  for (const char* command : {"train", "prepare"}) {
    auto arguments = training_on({"--data", "mine"});
    if (command == std::string("prepare")) arguments = {command, "--data", "mine", "--cache", "c", "--size", "32"};
    expect_listed(arguments, "27 of 30 photographs in mine/images " + advice, causes);
  }
  for (int i = 10; i < 23; ++i) fs::remove(folder_ / fmt::format("mine/images/p{}.png", i));
  expect_listed(training_on({"--data", "mine"}), "14 of 17 samples " + advice, unreadable);
}

TEST_F(DataFolders, BadFilesOfBothFoldersAreNamedAtOnce) {
  for (const char* id : {"a", "bb", "ccc"}) add_pair("mine/images", "mine/masks", id, "");
  for (const char* id : {"x", "yy", "zzz"}) add_pair("other/images", "other/masks", id, "");
  folder_.add("mine/images/a.png", std::string_view("this is a text\n"));
  fs::remove(folder_ / "other/masks/yy.png");
  folder_.add("other/masks/zzz.png", std::string_view());
  expect_listed(
      training_on({"--data", "mine", "--validation", "other"}),
      "3 of 6 photographs in mine/images and other/images cannot be used; repair or remove them, or leave "
      "them out with --skip-bad:",
      {"mine/images/a.png is a text, not a picture", "yy has no mask in other/masks", "other/masks/zzz.png is empty"});
}

TEST_F(DataFolders, ValidationTakesItsOwnPartOfAChallenge) {
  for (const char* part : {"Training", "Validation"}) {
    const std::string images = fmt::format("isic/ISIC2018_Task1-2_{}_Input", part);
    const std::string masks = fmt::format("isic/ISIC2018_Task1_{}_GroundTruth", part);
    for (const char* id : {"x", "yy"}) add_pair(images, masks, part[0] + std::string(id), "_segmentation");
  }
  const Outcome outcome = run(training_on({"--data", "isic", "--validation", "isic"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(text_of(folder_ / "r/split.csv"), "image,part\nTx,train\nTyy,train\nVx,validation\nVyy,validation\n");
  EXPECT_EQ(run({"evaluate", "--run", "r", "--data", "isic", "--part", "validation", "--threads", "1"}).code, 0);
  expect_refused(1, {"evaluate", "--run", "r", "--data", "isic", "--part", "test"}, {"no test part"});
  expect_refused(1, training_on({"--data", "data"}, {"--validation", "data", "--overwrite"}),
                 {"data holds the photographs that are trained on"});
}

}  // namespace
}  // namespace dermatome::cli

// dermatome check: what it finds, what it calls a finding, what it copies, and that it changes nothing.
#include <nlohmann/json.hpp>

#include "data/codec.h"
#include "data/image/resize.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

using data::testing::disc;
using data::testing::make_jpeg;
using data::testing::random_image;
using data::testing::smooth_image;

class Check : public CommandLine {
 protected:
  // 96x72 pixels of soft patches, no two seeds alike.
  static data::Image picture(std::uint64_t seed) { return data::resize(random_image(16, 12, 3, seed), 96, 72); }

  void add_pair(const std::string& id, std::uint64_t seed) const {
    folder_.add("mine/images/" + id + ".png", data::encode_png(picture(seed)));
    folder_.add("mine/masks/" + id + ".png", data::encode_png(disc(96, 72, 10 + static_cast<double>(seed))));
  }

  Outcome check(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"check", "mine", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }

  static void expect_lines(const std::string& text, const std::vector<std::string>& lines) {
    for (const auto& line : lines) {
      EXPECT_NE(("\n" + text).find("\n" + line + "\n"), std::string::npos) << line << " not in:\n" << text;
    }
  }

  // Names and contents of everything below the folder.
  std::map<std::string, std::string> contents(const std::string& name) const {
    std::map<std::string, std::string> result;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / name)) {
      if (entry.is_regular_file()) result[entry.path().string()] = text_of(entry.path());
    }
    return result;
  }
};

TEST_F(Check, FindsNothingInACleanFolder) {
  for (std::uint64_t i = 1; i < 5; ++i) add_pair(fmt::format("p{}", i), i);
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  expect_lines(outcome.out, {"4 photographs in mine/images", "4 masks in mine/masks",
                             "  formats      photographs 4 PNG; masks 4 PNG",
                             "  size         96x72 to 96x72 pixels, median 0.01 megapixels; 0 above 12 megapixels",
                             "no errors, no warnings"});
}

TEST_F(Check, NamesEveryKindOfFinding) {
  for (std::uint64_t i = 1; i < 14; ++i) add_pair(fmt::format("p{:02}", i), i);
  const fs::path images = folder_ / "mine/images";
  const fs::path masks = folder_ / "mine/masks";
  folder_.add("mine/images/p01.png", std::string_view("this is a text\n"));
  folder_.add("mine/masks/p02.png", std::string_view());
  folder_.add("mine/masks/p03.png", data::encode_png(disc(60, 72, 20)));
  fs::remove(masks / "p04.png");
  folder_.add("mine/masks/p05_mask.png", text_of(masks / "p05.png"));
  folder_.add("mine/masks/p06.png", data::encode_png(disc(96, 72, 20, 1)));
  folder_.add("mine/masks/p07.png", data::encode_png(data::make_image(96, 72, 1, 0)));
  folder_.add("mine/masks/p08.png", data::encode_png(data::make_image(96, 72, 1, 255)));
  folder_.add("mine/masks/nobody.png", data::encode_png(disc(96, 72, 20)));
  folder_.add("mine/images/p10.png", text_of(images / "p09.png"));
  folder_.add("mine/images/p12.png", data::encode_png(data::resize(picture(11), 192, 144)));
  folder_.add("mine/masks/p12.png", data::encode_png(disc(192, 144, 40)));
  const auto turned = smooth_image(96, 72);
  fs::remove(images / "p13.png");
  folder_.add("mine/images/p13.jpg", make_jpeg(turned.pixels, 96, 72, {.app1 = data::testing::exif_block(6, true)}));
  const auto before = contents("mine");

  const Outcome outcome = check({"--json", "k.json"});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  expect_lines(outcome.out, {"error: photographs without exactly one mask (2)",
                             "  p04 has no mask in mine/masks",
                             "  p05 has 2 masks in mine/masks: p05.png and p05_mask.png",
                             "error: photographs that cannot be read (1)",
                             "  mine/images/p01.png is a text, not a picture",
                             "error: masks that cannot be used (2)",
                             "  mine/masks/p02.png is empty",
                             "  mine/masks/p03.png is 60x72 pixels but its photograph mine/images/p03.png is 96x72",
                             "warning: masks without a photograph (1)",
                             "  nobody.png belongs to no photograph in mine/images",
                             "warning: masks that need a repair (1)",
                             "  p06.png: its values are 0 and 1",
                             "warning: masks without a lesion (1)",
                             "  p07.png is all black",
                             "warning: masks that are all lesion (1)",
                             "  p08.png is all white",
                             "warning: photographs that are there more than once (1)",
                             "  p09.png and p10.png are the same file, with different masks",
                             "information: photographs that are turned upright (1)",
                             "  p13.jpg: quarter turn clockwise, as EXIF says",
                             "information: pairs of near-duplicates (1)",
                             "5 errors, 5 warnings"});
  EXPECT_NE(outcome.out.find("  p11.png and p12.png show the same picture (likeness "), std::string::npos)
      << outcome.out;
  EXPECT_EQ(contents("mine"), before) << "nothing is changed in place";

  const auto json = nlohmann::json::parse(text_of(folder_ / "k.json"));
  EXPECT_EQ(json.at("errors"), 5);
  EXPECT_EQ(json.at("warnings"), 5);
  EXPECT_EQ(json.at("photographs"), 13);
  EXPECT_EQ(json.at("usable"), 8);
  EXPECT_EQ(json.at("per_image").size(), 11u);
  EXPECT_EQ(json.at("findings")[0].at("level"), "error");
  EXPECT_EQ(json.at("findings")[0].at("files")[0], "mine/images/p04.png");
}

// Bright rows over dark ones: shares of 1 to 20 in 24.
TEST_F(Check, TellsHowMuchOfThePhotographsIsLesion) {
  for (std::uint64_t i = 1; i < 21; ++i) {
    add_pair(fmt::format("p{:02}", i), i);
    data::Image mask = data::make_image(96, 72, 1);
    std::fill_n(mask.pixels.begin(), 96 * 3 * i, std::uint8_t{255});
    folder_.add(fmt::format("mine/masks/p{:02}.png", i), data::encode_png(mask));
  }
  const Outcome outcome = check({"--json", "k.json"});
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_NE(outcome.out.find("\n  lesion area  mean 43."), std::string::npos) << outcome.out;
  EXPECT_NE(
      outcome.out.find(" % of a photograph, median 45.8 %; one in twenty below 8.3 %, one in twenty above 79.2 %\n"),
      std::string::npos)
      << outcome.out;
  const auto json = nlohmann::json::parse(text_of(folder_ / "k.json"));
  EXPECT_NEAR(json.at("mean_lesion_share").get<double>(), 10.5 / 24, 1e-9);
  EXPECT_NEAR(json.at("median_lesion_share").get<double>(), 11.0 / 24, 1e-9);
  EXPECT_NEAR(json.at("lesion_share_5_percent").get<double>(), 2.0 / 24, 1e-9);
  EXPECT_NEAR(json.at("lesion_share_95_percent").get<double>(), 19.0 / 24, 1e-9);
  EXPECT_EQ(json.at("images"), "mine/images");
  EXPECT_EQ(json.at("masks"), "mine/masks");
  EXPECT_EQ(json.at("photograph_formats"), nlohmann::json({{"PNG", 20}}));
  EXPECT_EQ(json.at("mask_formats"), nlohmann::json({{"PNG", 20}}));
  const auto& row = json.at("per_image")[2];
  EXPECT_EQ(row.at("id"), "p03");
  EXPECT_EQ(row.at("usable"), true);
  EXPECT_EQ(row.at("width"), 96);
  EXPECT_EQ(row.at("height"), 72);
  EXPECT_EQ(row.at("contents").get<std::string>().size(), 32u);
  EXPECT_NEAR(row.at("lesion_share").get<double>(), 3.0 / 24, 1e-9);
}

TEST_F(Check, NamesPicturesOfKindsThatAreNotRead) {
  for (std::uint64_t i = 1; i < 4; ++i) add_pair(fmt::format("p{}", i), i);
  fs::remove(folder_ / "mine/images/p1.png");
  fs::remove(folder_ / "mine/images/p2.png");
  folder_.add("mine/images/p1.heic", std::string_view("\0\0\0\x18"
                                                      "ftypheic\0\0\0\0",
                                                      16));
  folder_.add("mine/images/p2.webp", std::string_view("RIFF\x10\0\0\0WEBPVP8 ", 16));
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, 1);
  expect_lines(outcome.out, {"error: photographs that cannot be read (2)",
                             "  mine/images/p1.heic is a HEIC picture, which is not read: save it as JPEG or PNG",
                             "  mine/images/p2.webp is a WebP picture, which is not read: save it as JPEG or PNG"});
}

TEST_F(Check, CopiesWhatIsUsableAndRepairsItThere) {
  for (std::uint64_t i = 1; i < 7; ++i) add_pair(fmt::format("p{}", i), i);
  folder_.add("mine/images/p1.png", std::string_view("this is a text\n"));
  folder_.add("mine/masks/p2.png", data::encode_png(disc(96, 72, 20, 1)));
  folder_.add("mine/masks/p3.png", data::encode_png(data::to_rgb(disc(192, 144, 40))));
  folder_.add("mine/images/p5.png", text_of(folder_ / "mine/images/p4.png"));
  folder_.add("mine/masks/p5.png", text_of(folder_ / "mine/masks/p4.png"));
  const auto before = contents("mine");
  const Outcome outcome = check({"--fix", "fixed"});
  EXPECT_EQ(outcome.code, 1);
  expect_lines(outcome.err,
               {"4 pairs in fixed, 2 of their masks repaired, 2 photographs left out; repairs.csv says which"});
  EXPECT_EQ(contents("mine"), before);
  EXPECT_EQ(text_of(folder_ / "fixed/images/p2.png"), text_of(folder_ / "mine/images/p2.png"));
  EXPECT_EQ(data::read_mask(folder_ / "fixed/masks/p2_segmentation.png").grey, disc(96, 72, 20));
  EXPECT_EQ(data::read_mask(folder_ / "fixed/masks/p3_segmentation.png").grey,
            data::resize_mask(disc(192, 144, 40), 96, 72));
  EXPECT_EQ(text_of(folder_ / "fixed/masks/p6_segmentation.png"), text_of(folder_ / "mine/masks/p6.png"));
  EXPECT_FALSE(fs::exists(folder_ / "fixed/images/p5.png"));
  const std::string table = text_of(folder_ / "fixed/repairs.csv");
  expect_lines(table,
               {"file,action", "mine/images/p5.png,left out: the same photograph and mask are there under another name",
                "mine/masks/p2.png,repaired", "mine/masks/p3.png,repaired"});
  EXPECT_NE(table.find("mine/images/p1.png,\"left out: mine/images/p1.png is a text, not a picture\""),
            std::string::npos)
      << table;
  const Outcome again = run({"check", "fixed", "--threads", "1"});
  EXPECT_EQ(again.code, 0) << again.out;
  expect_refused(1, {"check", "mine", "--fix", "mine/images/deep"}, {"lies inside"});
  expect_refused(1, {"check", "mine", "--fix", "fixed"},
                 {"fixed is there already; repairs go into a new or empty folder"});
}

TEST_F(Check, FindsPhotographsThatAreInAnotherFolderToo) {
  for (std::uint64_t i = 1; i < 5; ++i) add_pair(fmt::format("p{}", i), i);
  folder_.add("test/images/copy.png", text_of(folder_ / "mine/images/p2.png"));
  folder_.add("test/images/small.png", data::encode_png(data::resize(picture(3), 72, 54)));
  folder_.add("test/images/new.png", data::encode_png(picture(99)));
  folder_.add("test/images/bad.png", std::string_view("text"));
  folder_.add("test/masks/copy_mask.png", text_of(folder_ / "mine/masks/p2.png"));
  const Outcome outcome = check({"--against", "test"});
  EXPECT_EQ(outcome.code, 1);
  expect_lines(outcome.out,
               {"4 other photographs to compare with", "warning: pairs across the two folders (2)",
                "  p2.png is test/images/copy.png as well", "warning: other photographs that cannot be read (1)",
                "  test/images/bad.png is a text, not a picture", "no errors, 3 warnings"});
  EXPECT_NE(outcome.out.find("  p3.png shows the same picture as test/images/small.png (likeness "), std::string::npos)
      << outcome.out;
  expect_refused(1, {"check", "mine", "--against", "nowhere"}, {"nowhere does not exist"});
  expect_refused(1, {"check", "mine", "--against", "mine/masks"},
                 {"mine/masks holds no photographs to compare with, only masks"});
}

TEST_F(Check, TakesEveryLayoutAndRefusesWhatIsNone) {
  EXPECT_EQ(run({"check", "data", "--threads", "1"}).code, 0);
  EXPECT_EQ(run({"check", "--images", kImages, "--masks", kMasks, "--threads", "1"}).code, 0);
  const Outcome json = run({"check", "data", "--threads", "1", "--json", "-"});
  EXPECT_EQ(nlohmann::json::parse(json.out).at("usable"), 5);
  expect_refused(2, {"check"}, {"what shall be checked?", "--images DIR with --masks DIR"});
  expect_refused(2, {"check", "data", "--images", kImages, "--masks", kMasks}, {"cannot be given together"});
  expect_refused(1, {"check", "nowhere"}, {"the folder nowhere does not exist"});
  fs::create_directories(folder_ / "empty");
  expect_refused(1, {"check", "empty"},
                 {"empty holds no folder of an ISIC challenge", "nor two folders images and masks"});
  expect_refused(1, {"check", "data", "--part", "test"}, {"no test part"});
}

}  // namespace
}  // namespace dermatome::cli

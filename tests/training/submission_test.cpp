// A submission: names as the challenge has them, one mask each, and the official scorer's rules on the finished
// archive.
#include "tools/training/submission.h"

#include <gtest/gtest.h>

#include "models/zip_archive.h"
#include "tests/training/support.h"

namespace dermatome::training {
namespace {

using namespace testing;
namespace fs = std::filesystem;

SubmissionMask mask_of(const std::string& id, int width, int height, std::uint8_t value = 255) {
  data::Image mask = data::make_image(width, height, 1);
  mask.pixels[1] = value;
  return {.id = id, .png = data::encode_mask_png(mask), .width = width, .height = height};
}

std::vector<SubmissionMask> two_masks() {
  return {mask_of("ISIC_0000001", 5, 4), mask_of("ISIC_0000012", 6, 3)};
}

void expect_refused(const std::vector<ZipMember>& members, const std::vector<SubmissionMask>& masks,
                    const std::vector<std::string>& parts) {
  const auto archive = zip_archive_of(members);
  expect_error([&] { check_submission(archive, masks, "s.zip"); }, parts);
}

ZipMember member(const std::string& name, const std::vector<std::uint8_t>& png) {
  return {.name = name, .bytes = std::as_bytes(std::span(png))};
}

TEST(Submission, HoldsAMaskAPhotographUnderTheChallengesName) {
  const auto masks = two_masks();
  const auto archive = submission_archive(masks);
  check_submission(archive, masks, "s.zip");
  const ZipArchive zip(archive, "s.zip");
  EXPECT_EQ(zip.names(), (std::vector<std::string>{"ISIC_0000001_segmentation.png", "ISIC_0000012_segmentation.png"}));
  const auto bytes = zip.read("ISIC_0000012_segmentation.png");
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), std::as_bytes(std::span(masks[1].png)).begin()));
  EXPECT_EQ(archive, submission_archive(masks)) << "the same masks, the same bytes";
}

TEST(Submission, TakesOnlyNamesOfTheChallenge) {
  EXPECT_EQ(submission_ids(std::vector<fs::path>{"a/ISIC_0012345.jpg", "a/ISIC_0000001.png"}),
            (std::vector<std::string>{"ISIC_0012345", "ISIC_0000001"}));
  expect_error(
      [] {
        submission_ids(std::vector<fs::path>{"ISIC_0012345.jpg", "IMG_1.jpg", "ISIC_123.jpg"});
      },
      {"2 of 3 photographs are not named as the challenge names them (ISIC_ and seven digits): IMG_1.jpg, "
       "ISIC_123.jpg"});
  for (const char* name : {"ISIC_001234x.jpg", "isic_0012345.jpg", "ISIC_00123456.jpg"})
    EXPECT_THROW(submission_ids(std::vector<fs::path>{name}), Error) << name;
  expect_error(
      [] {
        submission_ids(std::vector<fs::path>{"a/ISIC_0012345.jpg", "a/ISIC_0012345.png"});
      },
      {"a/ISIC_0012345.jpg and a/ISIC_0012345.png are both ISIC_0012345"});
}

TEST(Submission, IsHeldToTheOfficialScorersRules) {
  const auto masks = two_masks();
  const auto one = member("ISIC_0000001_segmentation.png", masks[0].png);
  const auto two = member("ISIC_0000012_segmentation.png", masks[1].png);
  expect_refused({one}, masks, {"s.zip holds 0 masks of ISIC_0000012, not one"});
  expect_refused({one, two, member("0000012.png", masks[1].png)}, masks, {"s.zip holds 2 masks of ISIC_0000012"});
  expect_refused({one, two, member("notes.txt", masks[1].png)}, masks, {"s.zip holds 3 members, not the 2 masks"});
  expect_refused({one, member("ISIC_0000012_segmentation.png", masks[0].png)}, masks,
                 {"ISIC_0000012_segmentation.png is 5x4 pixels but its photograph 6x3"});
  const auto colour = data::encode_png(data::make_image(6, 3, 3));
  expect_refused({one, member("ISIC_0000012_segmentation.png", colour)}, masks, {"is no PNG of one 8-bit channel"});
  for (const int value : {1, 128}) {
    const auto grey = mask_of("ISIC_0000012", 6, 3, static_cast<std::uint8_t>(value));
    expect_refused({one, member("ISIC_0000012_segmentation.png", grey.png)}, masks, {"other values than 0 and 255"});
  }
}

TEST(Submission, KnowsHowManyPhotographsAPartHas) {
  EXPECT_EQ(part_of_that_size(1000), "as many as the test part of ISIC 2018 has");
  EXPECT_EQ(part_of_that_size(7), "");
}

TEST(ZipArchive, TwoMembersOfOneNameAreRefused) {
  const std::vector<std::uint8_t> bytes{1, 2, 3};
  const auto same = member("a", bytes);
  expect_error([&] { zip_archive_of(std::vector{same, same}); }, {"a zip archive cannot be made ("});
  EXPECT_TRUE(ZipArchive(zip_archive_of(std::vector{member("empty", {})}), "e.zip").read("empty").empty());
}

}  // namespace
}  // namespace dermatome::training

// `dermatome submit` from the command line: the archive, and what is refused with nothing written.
#include "data/codec.h"
#include "models/zip_archive.h"
#include "tests/cli/command.h"

namespace dermatome::cli {
namespace {

class Submit : public CommandLine {
 protected:
  static std::vector<std::string> submitting(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"submit", "--run", "r", "--images", kImages, "--out", "s.zip", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

TEST_F(Submit, WritesTheMasksThatPredictWrites) {
  train("r");
  folder_.add(std::string(kImages) + "/ATTRIBUTION.txt", std::string_view("by nobody"));
  const Outcome outcome = run(submitting({"--tta", "flips", "--keep-largest"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "5 masks in s.zip, which no part of ISIC 2016, 2017 or 2018 has: is the folder whole?\n");
  ASSERT_EQ(
      run({"predict", "--run", "r", "--tta", "flips", "--keep-largest", "--out", "p", "--threads", "1", kImages}).code,
      0);
  const std::string text = text_of(folder_ / "s.zip");
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  const ZipArchive zip(bytes, "s.zip");
  ASSERT_EQ(zip.names().size(), 5u);
  for (const auto& id : ids_) {
    const auto mask = zip.read(id + "_segmentation.png");
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(mask.data()), mask.size()),
              text_of(folder_ / "p" / (id + "_segmentation.png")));
  }
  ASSERT_EQ(run(submitting({"--tta", "flips", "--keep-largest"})).code, 0);
  EXPECT_EQ(text_of(folder_ / "s.zip"), text) << "written again, the same bytes";
}

TEST_F(Submit, RefusesWhatIsNoSubmissionBeforeItPredicts) {
  expect_exactly(2, {"submit", "--images", kImages, "--out", "s.zip"},
                 "which model? Give --run DIR (a folder that `dermatome train` made) or --weights FILE (a checkpoint)");
  expect_exactly(2, {"submit", "--run", "r", "--images", kImages, "--out", "s.tar"}, "s.tar should end in .zip");
  expect_exactly(1, {"submit", "--run", "r", "--images", kImages, "--out", "no/s.zip"},
                 "no/s.zip cannot be written: the folder no does not exist");
  train("r");
  expect_exactly(1, {"submit", "--run", "r", "--images", "nowhere", "--out", "s.zip"},
                 "the folder nowhere does not exist");
  fs::copy_file(image(ids_[0]), folder_ / kImages / "IMG_1.jpg");
  expect_exactly(1, submitting(),
                 "1 of 6 photographs are not named as the challenge names them (ISIC_ and seven digits): IMG_1.jpg");
  fs::rename(folder_ / kImages / "IMG_1.jpg", folder_ / kImages / (ids_[1] + ".jpeg"));
  expect_exactly(
      1, submitting(),
      fmt::format("{0}/{1}.jpeg and {0}/{1}.jpg are both {1}; a submission holds one mask of each", kImages, ids_[1]));
  EXPECT_FALSE(fs::exists(folder_ / "s.zip"));
}

TEST_F(Submit, ABadPhotographLeavesAnEarlierArchiveAsItWas) {
  train("r");
  folder_.add("s.zip", std::string_view("earlier"));
  const std::string whole = text_of(image(ids_[2]));
  folder_.add(fmt::format("{}/{}.jpg", kImages, ids_[2]), std::string_view(whole).substr(0, whole.size() / 2));
  expect_refused(1, submitting(), {"s.zip was not written: ", ids_[2] + ".jpg is cut short or damaged"});
  EXPECT_EQ(text_of(folder_ / "s.zip"), "earlier");
}

}  // namespace
}  // namespace dermatome::cli

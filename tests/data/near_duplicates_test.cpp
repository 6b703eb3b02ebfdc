// Which photographs count as the same picture: copies changed in every way that copies are, and what only looks alike.
#include "data/near_duplicates.h"

#include <gtest/gtest.h>

#include "data/codec.h"
#include "data/dataset.h"
#include "data/files.h"
#include "data/image/resize.h"
#include "data/prepared.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

namespace fs = std::filesystem;

class NearDuplicates : public ::testing::Test {
 protected:
  // Photographs of the committed sample: no two show the same lesion.
  static const std::vector<Image>& photographs() {
    static const std::vector<Image> all = [] {
      std::vector<Image> images;
      for (const auto& sample : find_samples(fs::path(DERMATOME_SOURCE_DIR) / "data/sample")) {
        images.push_back(read_rgb(sample.image).image);
      }
      images.resize(12);
      return images;
    }();
    return all;
  }

  static Fingerprint print_of(const Image& image) {
    return fingerprint_of(resize(image, Fingerprint::kSide, Fingerprint::kSide));
  }

  static std::vector<Fingerprint> prints() {
    std::vector<Fingerprint> all;
    for (const auto& image : photographs()) all.push_back(print_of(image));
    return all;
  }

  // The only pair must be photograph 3 and the changed one, which is put behind all.
  static NearDuplicate found(const Image& changed) {
    auto all = prints();
    all.push_back(print_of(changed));
    const auto pairs = find_near_duplicates(all);
    EXPECT_EQ(pairs.size(), 1u);
    if (pairs.empty()) return {};
    EXPECT_EQ(pairs[0].first, 3u);
    EXPECT_EQ(pairs[0].second, all.size() - 1);
    return pairs[0];
  }

  static Image cropped(const Image& image, int left, int top, int width, int height) {
    Image result = make_image(width, height, 3);
    for (int y = 0; y < height; ++y) std::copy_n(image.row(top + y) + 3 * left, 3 * width, result.row(y));
    return result;
  }
};

TEST_F(NearDuplicates, DifferentLesionsAreNone) {
  std::vector<Fingerprint> all;
  for (const auto& sample : find_samples(fs::path(DERMATOME_SOURCE_DIR) / "data/sample")) {
    all.push_back(fingerprint_of(read_file(sample.image), sample.id));
  }
  ASSERT_EQ(all.size(), 48u);
  EXPECT_TRUE(find_near_duplicates(all).empty());
}

TEST_F(NearDuplicates, CopiesOfOtherSizeAndQualityAreFound) {
  const Image& image = photographs()[3];
  EXPECT_GT(found(resize(image, 200, 150)).likeness, 0.95);
  EXPECT_GT(found(decode_rgb(encode_jpeg(image, 30), "a").image).likeness, 0.95);
  EXPECT_EQ(found(image).likeness, 1);
}

TEST_F(NearDuplicates, CopiesOfOtherColoursAreFound) {
  Image image = photographs()[3];
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    image.pixels[i] = static_cast<std::uint8_t>(image.pixels[i] * 3 / 4);
    image.pixels[i + 2] = static_cast<std::uint8_t>(std::min(255, image.pixels[i + 2] + 25));
  }
  EXPECT_GT(found(image).likeness, 0.95);
}

TEST_F(NearDuplicates, CopiesThatWereCroppedALittleAreFound) {
  const Image& image = photographs()[3];
  const int w = image.width;
  const int h = image.height;
  EXPECT_GT(found(cropped(image, w / 20, 0, w - w / 20, h)).likeness, kSameLikeness);
  EXPECT_GT(found(cropped(image, w / 30, h / 30, w - w / 15, h - h / 15)).likeness, kSameLikeness);
}

TEST_F(NearDuplicates, CopiesThatWereTurnedAreFoundWithTheirTurn) {
  const Image& image = photographs()[3];
  for (int turn = 1; turn <= 8; ++turn) {
    const auto orientation = static_cast<Orientation>(turn);
    const NearDuplicate pair = found(to_stored(image, orientation));
    EXPECT_GT(pair.likeness, 0.99) << turn;
    EXPECT_EQ(pair.turn, orientation) << "what brings it back";
  }
}

TEST_F(NearDuplicates, ManyCopiesOfOnePictureAreQuicklyFound) {
  const Fingerprint print = print_of(photographs()[3]);
  const auto equal = find_near_duplicates(std::vector(2000, print));
  ASSERT_EQ(equal.size(), 1999u) << "the first stands for all";
  EXPECT_EQ(equal.back().first, 0u);
  EXPECT_EQ(equal.back().second, 1999u);
  std::vector<Fingerprint> nearly(60, print);
  for (std::size_t i = 0; i < nearly.size(); ++i) nearly[i].grey[i * 60] ^= 1;
  EXPECT_EQ(find_near_duplicates(nearly).size(), 60u * 59 / 2);
}

TEST_F(NearDuplicates, StopWhenProgressThrows) {
  struct Stop : std::exception {};
  EXPECT_THROW(find_near_duplicates(prints(), [](std::size_t, std::size_t) { throw Stop(); }), Stop);
}

TEST_F(NearDuplicates, PlainPicturesAreLeftOut) {
  const std::vector<Fingerprint> plain(3, print_of(make_image(64, 64, 3, 90)));
  EXPECT_TRUE(find_near_duplicates(plain).empty());
}

TEST(FingerprintOf, RefusesOtherSizes) {
  testing::expect_error([] { fingerprint_of(make_image(63, 64, 3)); }, {"64x64", "63x64"});
}

}  // namespace
}  // namespace dermatome::data

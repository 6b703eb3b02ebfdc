// Loading a data set: the pixels that arrive, the repairs that are counted, and every bad file in one error.
#include "data/resident_set.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <stdexcept>

#include "data/codec.h"
#include "data/image/resize.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::disc;
using testing::exif_block;
using testing::expect_error;
using testing::expect_listed;
using testing::expect_message;
using testing::make_jpeg;
using testing::random_image;
using testing::smooth_image;
using testing::TemporaryFolder;

// More threads than cores, so that loading is parallel on any machine.
class LoadResidentSet : public ::testing::Test {
 protected:
  LoadResidentSet() : threads_(omp_get_max_threads()) { omp_set_num_threads(4); }
  ~LoadResidentSet() override { omp_set_num_threads(threads_); }

  Sample add(const std::string& id, const Image& image, const Image& mask) const {
    return {.id = id,
            .image = folder_.add(id + ".png", encode_png(image)),
            .mask = folder_.add(id + "_mask.png", encode_png(mask))};
  }

  TemporaryFolder folder_;

 private:
  int threads_;
};

std::vector<std::uint8_t> copy_of(std::span<const std::uint8_t> bytes) {
  return {bytes.begin(), bytes.end()};
}

TEST_F(LoadResidentSet, SquashesImagesAndMasksInTheirOrder) {
  std::vector<Sample> samples;
  std::vector<Image> images;
  for (int i = 0; i < 20; ++i) {
    images.push_back(random_image(40 + i, 30, 3, static_cast<std::uint64_t>(i)));
    samples.push_back(add(fmt::format("s{}", i), images.back(), disc(40 + i, 30, 5 + i % 8)));
  }
  const ResidentSet set = load_resident_set(samples, 16);
  ASSERT_EQ(set.count(), 20u);
  EXPECT_EQ(set.size, 16);
  EXPECT_EQ(set.images.size(), 20u * 16 * 16 * 3);
  EXPECT_EQ(set.masks.size(), 20u * 16 * 16);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(set.ids[i], samples[i].id);
    EXPECT_EQ(set.stored[i].width, 40 + static_cast<int>(i));
    EXPECT_EQ(set.stored[i].height, 30);
    EXPECT_EQ(copy_of(set.image(i)), resize(images[i], 16, 16).pixels);
    EXPECT_EQ(copy_of(set.mask(i)), resize_mask(disc(images[i].width, 30, 5 + static_cast<int>(i) % 8), 16, 16).pixels);
  }
  EXPECT_EQ(set.report.grey_edged_masks + set.report.zero_one_masks + set.report.colour_masks + set.report.turned, 0u);
}

TEST_F(LoadResidentSet, TurnsThePhotographAndItsMaskTogether) {
  const Image photograph = smooth_image(48, 32);
  Image mask = make_image(48, 32, 1);
  for (int y = 0; y < 32; ++y) std::fill_n(mask.row(y), 12, std::uint8_t{255});  // the left quarter as stored
  const Sample sample{
      .id = "turned",
      .image = folder_.add("t.jpg", make_jpeg(photograph.pixels, 48, 32, {.app1 = exif_block(6, true)})),
      .mask = folder_.add("t_mask.png", encode_png(mask))};
  const ResidentSet set = load_resident_set(std::span(&sample, 1), 8);
  EXPECT_EQ(set.report.turned, 1u);
  EXPECT_EQ(set.stored[0].width, 48);
  EXPECT_EQ(set.stored[0].orientation, Orientation::quarter_clockwise);
  for (std::size_t y = 0; y < 8; ++y) {
    for (std::size_t x = 0; x < 8; ++x) EXPECT_EQ(set.mask(0)[y * 8 + x], y < 2 ? 255 : 0) << x << "," << y;
  }
}

TEST_F(LoadResidentSet, CutsGreyEdgesAndCountsRepairs) {
  const Image photograph = random_image(256, 256, 3, 1);
  const Image soft = resize(disc(777, 777, 250), 256, 256);
  const std::vector<Sample> samples{add("clean", photograph, disc(256, 256, 50)), add("soft", photograph, soft),
                                    add("ones", photograph, disc(256, 256, 50, 1)),
                                    add("colour", photograph, to_rgb(disc(256, 256, 50)))};
  const ResidentSet set = load_resident_set(samples, 64);
  EXPECT_EQ(set.report.grey_edged_masks, 1u);
  EXPECT_EQ(set.report.zero_one_masks, 1u);
  EXPECT_EQ(set.report.colour_masks, 1u);
  EXPECT_EQ(copy_of(set.mask(0)), copy_of(set.mask(2)));
  EXPECT_EQ(copy_of(set.mask(0)), copy_of(set.mask(3)));
  Image cut = soft;
  cut_mask(cut);
  EXPECT_EQ(copy_of(set.mask(1)), resize_mask(cut, 64, 64).pixels) << "cut on the stored grid, then resized";
  EXPECT_TRUE(std::all_of(set.masks.begin(), set.masks.end(), [](auto value) { return value == 0 || value == 255; }));
}

TEST_F(LoadResidentSet, NamesBothSizesWhereTheyDiffer) {
  const Sample sample = add("a", random_image(20, 10, 3, 1), disc(10, 20, 4));
  expect_error([&] { load_resident_set(std::span(&sample, 1), 8); }, {"a_mask.png is 10x20", "a.png is 20x10"});
}

TEST_F(LoadResidentSet, ComparesSizesOnTheStoredGrid) {
  const Image photograph = smooth_image(48, 32);
  const Sample sample{
      .id = "t",
      .image = folder_.add("t.jpg", make_jpeg(photograph.pixels, 48, 32, {.app1 = exif_block(8, true)})),
      .mask = folder_.add("t_mask.png", encode_png(disc(20, 48, 9)))};
  expect_error([&] { load_resident_set(std::span(&sample, 1), 8); }, {"20x48", "48x32 as stored", "EXIF"});
}

TEST_F(LoadResidentSet, CountsMasksThatAreScaledOrTurned) {
  const Image photograph = smooth_image(96, 64);
  const auto turned = folder_.add("t.jpg", make_jpeg(photograph.pixels, 96, 64, {.app1 = exif_block(6, true)}));
  const std::vector<Sample> samples{
      add("scaled", random_image(512, 300, 3, 1), disc(256, 150, 50)),
      {.id = "t", .image = turned, .mask = folder_.add("t_mask.png", encode_png(disc(64, 96, 20)))}};
  const ResidentSet set = load_resident_set(samples, 16);
  EXPECT_EQ(set.report.resized_masks, 1u);
  EXPECT_EQ(set.report.turned_masks, 1u);
  EXPECT_EQ(set.report.misfitting_masks, 2u);
  EXPECT_EQ(set.report.sentences(2).size(), 3u);
  EXPECT_EQ(set.report.sentences(2)[0],
            "1 of 2 masks have another size than their photograph but its shape; they were scaled");
}

TEST_F(LoadResidentSet, LeavesOutBadSamplesOnRequest) {
  std::vector<Sample> samples;
  std::vector<Image> images;
  for (int i = 0; i < 6; ++i) {
    images.push_back(random_image(9, 9, 3, static_cast<std::uint64_t>(i)));
    samples.push_back(add(fmt::format("s{}", i), images.back(), disc(9, 9, 1 + i % 4)));
  }
  for (const char* bad : {"s0.png", "s3_mask.png", "s4.png"}) folder_.add(bad, "no picture");
  const ResidentSet set = load_resident_set(samples, 8, {.skip_bad = true});
  EXPECT_EQ(set.ids, (std::vector<std::string>{"s1", "s2", "s5"}));
  EXPECT_EQ(set.indices, (std::vector<std::size_t>{1, 2, 5}));
  EXPECT_EQ(set.images.size(), 3u * 8 * 8 * 3);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(copy_of(set.image(i)), resize(images[set.indices[i]], 8, 8).pixels);
    EXPECT_EQ(copy_of(set.mask(i)), resize_mask(disc(9, 9, 1 + static_cast<int>(set.indices[i]) % 4), 8, 8).pixels);
  }
  ASSERT_EQ(set.report.left_out.size(), 3u);
  EXPECT_NE(set.report.left_out[1].find("s3_mask.png is a text"), std::string::npos) << set.report.left_out[1];
  EXPECT_EQ(set.count_of_first(0), 0u);
  EXPECT_EQ(set.count_of_first(2), 1u);
  EXPECT_EQ(set.count_of_first(5), 2u);
  EXPECT_EQ(set.count_of_first(6), 3u);
  const std::vector<Sample> bad{samples[0], samples[3]};
  expect_error([&] { load_resident_set(bad, 8, {.skip_bad = true}); }, {"none of 2 samples can be used", "s0.png"});
}

TEST_F(LoadResidentSet, GathersAllBadFilesInOneError) {
  std::vector<Sample> samples;
  for (int i = 0; i < 14; ++i)
    samples.push_back(add(fmt::format("s{:02}", i), random_image(9, 9, 3, 1), disc(9, 9, 3)));
  for (int i = 0; i < 12; ++i) folder_.add(fmt::format("s{:02}.png", i), "no picture");
  Image classes = disc(9, 9, 3);
  std::fill_n(classes.pixels.begin(), 9, std::uint8_t{100});
  folder_.add("s12_mask.png", encode_png(classes));
  folder_.add("s03_mask.png", "");
  std::vector<std::string> causes;
  for (int i = 0; i < 12; ++i) causes.push_back(fmt::format("s{:02}.png is a text, not a picture", i));
  causes.emplace_back("s12_mask.png is no lesion mask");
  const auto load = [&] { load_resident_set(samples, 8); };
  expect_listed(load, {"13 of 14 samples cannot be used; repair or remove them", "--skip-bad"}, causes);
  expect_message(load, {"s03.png is a text, not a picture; " + (folder_ / "s03_mask.png").string() + " is empty\n"});
  const std::vector<Sample> two{samples[12], samples[13]};
  expect_error([&] { load_resident_set(two, 8); }, {"s12_mask.png is no lesion mask", "0, 100, 255"});
  const std::vector<Sample> good{samples[13]};
  EXPECT_EQ(load_resident_set(good, 8).count(), 1u);
}

TEST_F(LoadResidentSet, ReportsProgressInOrder) {
  const std::vector<Sample> samples(30, add("a", random_image(9, 9, 3, 1), disc(9, 9, 3)));
  std::vector<std::size_t> seen;
  load_resident_set(samples, 8, {.progress = [&](std::size_t done, std::size_t total) {
                      EXPECT_EQ(total, 30u);
                      seen.push_back(done);
                    }});
  ASSERT_EQ(seen.size(), 30u);
  for (std::size_t i = 0; i < 30; ++i) EXPECT_EQ(seen[i], i + 1);
}

TEST_F(LoadResidentSet, StopsWhenProgressThrows) {
  struct Stop : std::exception {};
  const std::vector<Sample> samples(200, add("a", random_image(9, 9, 3, 1), disc(9, 9, 3)));
  std::size_t calls = 0;
  const LoadOptions options{.progress = [&](std::size_t, std::size_t) {
    if (++calls == 3) throw Stop();
  }};
  EXPECT_THROW(load_resident_set(samples, 8, options), Stop);
  EXPECT_EQ(calls, 3u);
}

TEST_F(LoadResidentSet, RefusesNoSamplesAndOddSizes) {
  expect_error([] { load_resident_set({}, 8); }, {"no samples"});
  const Sample sample = add("a", random_image(9, 9, 3, 1), disc(9, 9, 3));
  expect_error([&] { load_resident_set(std::span(&sample, 1), 0); }, {"0 px"});
  expect_error([&] { load_resident_set(std::span(&sample, 1), 9000); }, {"9000 px"});
}

}  // namespace
}  // namespace dermatome::data

// Writing files: what is written reads back, and nobody ever sees half of it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "data/codec.h"
#include "data/files.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::Bytes;
using testing::expect_error;
using testing::random_image;
using testing::smooth_image;
using testing::TemporaryFolder;

std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

TEST(WritePng, ReadsBackAsItWas) {
  const TemporaryFolder folder;
  const Image rgb = random_image(31, 17, 3, 1);
  const Image grey = random_image(31, 17, 1, 2);
  write_png(folder / "rgb.png", rgb);
  write_png(folder / "grey.png", grey);
  EXPECT_EQ(read_rgb(folder / "rgb.png").image, rgb);
  EXPECT_EQ(read_mask(folder / "grey.png").grey, grey);
  EXPECT_EQ(probe(folder / "grey.png").channels, 1);
}

TEST(WriteMaskPng, ReadsBackAsItWasAndIsSmaller) {
  const Image mask = testing::disc(301, 207, 80);
  const Bytes bytes = encode_mask_png(mask);
  EXPECT_EQ(decode_mask(bytes, "m").grey, mask);
  EXPECT_EQ(probe(bytes, "m").bits, 8);
  EXPECT_EQ(probe(bytes, "m").channels, 1);
  EXPECT_LT(bytes.size(), encode_png(mask).size());
  const Image noise = testing::random_image(40, 30, 1, 3);
  EXPECT_EQ(decode_mask(encode_mask_png(noise), "n").grey, noise);
  testing::expect_error([] { encode_mask_png(make_image(4, 4, 3)); }, {"one channel"});
}

TEST(WritePng, RefusesAnImageThatContradictsItself) {
  expect_error(
      [] {
        encode_png({.width = 3, .height = 1, .channels = 1, .pixels = {1, 2}});
      },
      {"3x1", "3 bytes, not 2"});
  expect_error([] { encode_png({.width = 1, .height = 1, .channels = 2, .pixels = {1, 2}}); }, {"channels, not 2"});
}

TEST(EncodeJpeg, StaysCloseAndShrinksWithQuality) {
  const Image image = smooth_image(75, 50);
  const Image decoded = decode_rgb(encode_jpeg(image, 95), "a").image;
  for (std::size_t i = 0; i < image.pixels.size(); ++i) ASSERT_LE(std::abs(decoded.pixels[i] - image.pixels[i]), 8);
  const Image noise = random_image(75, 50, 3, 3);
  EXPECT_LT(encode_jpeg(noise, 30).size(), encode_jpeg(noise, 95).size());
  EXPECT_EQ(probe(encode_jpeg(random_image(9, 9, 1, 4)), "a").channels, 1);
  expect_error([&] { encode_jpeg(image, 0); }, {"quality", "0"});
}

TEST(WriteNpy, FollowsTheFormat) {
  const TemporaryFolder folder;
  const std::vector<float> values{0, 0.25f, -1, 4, 5, 6e8f};
  write_npy(folder / "map.npy", values, 2, 3);
  const Bytes bytes = read_file(folder / "map.npy");
  const std::string text(bytes.begin(), bytes.end());
  EXPECT_EQ(text.substr(0, 8), std::string("\x93NUMPY\x01\0", 8));
  const std::size_t header = bytes[8] + 256u * bytes[9];
  EXPECT_EQ((10 + header) % 64, 0u);
  EXPECT_EQ(text[10 + header - 1], '\n');
  EXPECT_EQ(text.substr(10, 59), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
  ASSERT_EQ(bytes.size(), 10 + header + 24);
  std::vector<float> read(6);
  std::memcpy(read.data(), bytes.data() + 10 + header, 24);
  EXPECT_EQ(read, values);
  expect_error([&] { write_npy(folder / "map.npy", values, 3, 3); }, {"6 values", "3x3", "map.npy"});
}

TEST(WriteFile, LeavesNothingButTheFile) {
  const TemporaryFolder folder;
  write_file(folder / "a.txt", "old");
  write_file(folder / "a.txt", "new");
  const Bytes bytes = read_file(folder / "a.txt");
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "new");
  EXPECT_EQ(files_in(folder.path()), 1u);
  EXPECT_EQ(read_file(folder / "a.txt", 2).size(), 2u);
}

TEST(WriteFile, NamesTheFileThatCannotBeWritten) {
  const TemporaryFolder folder;
  expect_error([&] { write_png(folder / "none/x.png", make_image(1, 1, 1)); }, {"none/x.png", "No such file"});
  const auto file = folder.add("plain", "x");
  expect_error([&] { write_npy(file / "x.npy", std::vector<float>{1}, 1, 1); }, {"x.npy", "Not a directory"});
  std::filesystem::create_directory(folder / "taken");
  expect_error([&] { write_file(folder / "taken", "text"); }, {"taken", "directory"});
  EXPECT_EQ(files_in(folder.path()), 2u) << "the temporary file is gone";
  if (::geteuid() != 0) {  // nothing is unwritable for root
    std::filesystem::permissions(folder / "taken", std::filesystem::perms::owner_read);
    expect_error([&] { write_file(folder / "taken/x", "text"); }, {"taken/x", "Permission denied"});
    std::filesystem::permissions(folder / "taken", std::filesystem::perms::owner_all);
  }
}

}  // namespace
}  // namespace dermatome::data

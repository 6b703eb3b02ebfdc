// The eight EXIF orientations on a picture small enough to write down.
#include "data/image/orientation.h"

#include <gtest/gtest.h>

#include "data/codec/exif.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using testing::exif_block;
using testing::expect_error;
using testing::random_image;
using Pixels = std::vector<std::uint8_t>;

// Stored: 1 2
//         3 4
//         5 6
const Image kStored{.width = 2, .height = 3, .channels = 1, .pixels = {1, 2, 3, 4, 5, 6}};

TEST(Orientation, TurnsAsExifDefines) {
  EXPECT_EQ(to_upright(kStored, Orientation::upright).pixels, (Pixels{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(to_upright(kStored, Orientation::mirror).pixels, (Pixels{2, 1, 4, 3, 6, 5}));
  EXPECT_EQ(to_upright(kStored, Orientation::half_turn).pixels, (Pixels{6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(to_upright(kStored, Orientation::flip).pixels, (Pixels{5, 6, 3, 4, 1, 2}));
  EXPECT_EQ(to_upright(kStored, Orientation::transpose).pixels, (Pixels{1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(to_upright(kStored, Orientation::quarter_clockwise).pixels, (Pixels{5, 3, 1, 6, 4, 2}));
  EXPECT_EQ(to_upright(kStored, Orientation::transverse).pixels, (Pixels{6, 4, 2, 5, 3, 1}));
  EXPECT_EQ(to_upright(kStored, Orientation::quarter_anticlockwise).pixels, (Pixels{2, 4, 6, 1, 3, 5}));
}

TEST(Orientation, SwapsSidesFromFiveOn) {
  for (int value = 1; value <= 8; ++value) {
    const Image turned_image = to_upright(kStored, static_cast<Orientation>(value));
    EXPECT_EQ(turned_image.width, value >= 5 ? 3 : 2) << value;
    EXPECT_EQ(turned_image.height, value >= 5 ? 2 : 3) << value;
  }
}

TEST(Orientation, ToStoredUndoesToUpright) {
  const Image image = random_image(5, 3, 3, 1);
  for (int value = 1; value <= 8; ++value) {
    const auto orientation = static_cast<Orientation>(value);
    EXPECT_EQ(to_stored(to_upright(image, orientation), orientation), image) << value;
  }
}

TEST(Orientation, TurnsFloatsToo) {
  const std::vector<float> values{0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f};
  EXPECT_EQ(turned<float>(values, 2, 3, 1, Orientation::quarter_clockwise),
            (std::vector<float>{0.5f, 0.3f, 0.1f, 0.6f, 0.4f, 0.2f}));
  expect_error([&] { turned<float>(values, 3, 3, 1, Orientation::mirror); }, {"6 values", "3x3"});
}

std::span<const std::uint8_t> tiff_of(const Pixels& block) {
  return std::span(block).subspan(6);
}

TEST(Exif, IsReadInBothByteOrders) {
  for (int value = 1; value <= 8; ++value) {
    EXPECT_EQ(read_exif_orientation(tiff_of(exif_block(value, true))), static_cast<Orientation>(value));
    EXPECT_EQ(read_exif_orientation(tiff_of(exif_block(value, false))), static_cast<Orientation>(value));
  }
}

TEST(Exif, ThatMakesNoSenseReadsAsUpright) {
  EXPECT_EQ(read_exif_orientation({}), Orientation::upright);
  EXPECT_EQ(read_exif_orientation(tiff_of(exif_block(0, true))), Orientation::upright);
  EXPECT_EQ(read_exif_orientation(tiff_of(exif_block(9, true))), Orientation::upright);
  Pixels wrong_type = exif_block(6, true);
  wrong_type[6 + 12] = 4;
  EXPECT_EQ(read_exif_orientation(tiff_of(wrong_type)), Orientation::upright);
  Pixels far_directory = exif_block(6, true);
  far_directory[6 + 7] = 0xFF;
  EXPECT_EQ(read_exif_orientation(tiff_of(far_directory)), Orientation::upright);
}

TEST(Exif, CutAnywhereIsHarmless) {
  const Pixels block = exif_block(6, false);
  for (std::size_t length = 0; length < block.size() - 6; ++length) {
    const Pixels cut(block.begin() + 6, block.begin() + 6 + static_cast<std::ptrdiff_t>(length));
    const auto orientation = read_exif_orientation(cut);
    EXPECT_TRUE(orientation == Orientation::upright || length >= 20) << length;
  }
}

}  // namespace
}  // namespace dermatome::data

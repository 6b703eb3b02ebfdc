// The memory that preparing photographs takes at most, which bounds how many are prepared at once.
#include <gtest/gtest.h>

#include "data/prepared.h"
#include "tests/allocations/counting.h"
#include "tests/data/support.h"

namespace dermatome::data {
namespace {

using allocations::most_bytes_held;
using testing::Bytes;
using testing::disc;
using testing::make_jpeg;
using testing::smooth_image;

TEST(MostBytesHeld, AreThoseOfOneInstant) {
  Bytes before(1 << 20);
  const std::size_t bytes = most_bytes_held([&] {
    before = {};
    before.shrink_to_fit();
    for (int i = 0; i < 3; ++i) Bytes(3 << 20, 1);
    Bytes both(2 << 20, 1), at_once(2 << 20, 1);
    both.reserve(3 << 20);  // a larger piece while it keeps the former
  });
  constexpr std::size_t kExpected = std::size_t{6} << 20;  // 2 + 2 + 3 less the one that was given back
  constexpr std::size_t kPages = 65536;                    // what each piece is rounded up by
  EXPECT_GT(bytes, kExpected - kPages);
  EXPECT_LT(bytes, kExpected + kPages);
}

Bytes tall_jpeg(int width, int height, bool progressive) {
  return make_jpeg(smooth_image(width, 1).pixels, width, height,
                   {.progressive = progressive, .luma_h = 2, .luma_v = 2});
}

TEST(PreparePhotograph, OfThirtyMegapixelsNeedsLittleMemory) {
  const Bytes bytes = tall_jpeg(6720, 4480, false);
  Image image;
  const std::size_t held = most_bytes_held([&] { image = prepare_photograph(bytes, "large.jpg", 256).image; });
  EXPECT_EQ(image.width, 256);
  EXPECT_LT(held, std::size_t{12} << 20) << "all of its pixels would be 90 MB";
  EXPECT_LE(held, preparing_bytes(bytes, encode_png(make_image(8, 8, 1)), 256));
}

TEST(PreparingBytes, CoverWhatIsAllocated) {
  const Bytes mask = encode_png(disc(3000, 2000, 500));
  const Sample sample{.id = "a", .image = "a.jpg", .mask = "a.png"};
  for (const bool progressive : {false, true}) {
    const Bytes jpeg = tall_jpeg(3000, 2000, progressive);
    const std::size_t estimate = preparing_bytes(jpeg, mask, 256);
    const std::size_t held = most_bytes_held([&] { prepare_pair(sample, jpeg, mask, 256); });
    EXPECT_LE(held, estimate);
    EXPECT_GT(held, estimate / 2) << "an estimate that is far too large would keep threads waiting";
  }
  EXPECT_EQ(preparing_bytes(Bytes{1, 2}, mask, 256), 0u);
}

}  // namespace
}  // namespace dermatome::data

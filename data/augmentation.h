// Random draws of the augmentation, expanded on the host to eight numbers a sample, the same bits on every machine.
// The pixels are warped elsewhere, by the augmentation op, from these numbers alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace dermatome::data {

// After fastai 0.7 as the recipe gives it; each draw is independent of the others.
struct AugmentationSettings {
  bool dihedral = true;           // a turn by 0, 90, 180 or 270 degrees, each as likely
  float flip_probability = 0.5f;  // of exchanging left and right
  float rotate_degrees = 44;      // the rotation is U(-this, this); 0 to 180
  float rotate_probability = 0.75f;
  float zoom = 1.05f;  // the magnification is U(1, this); 1 to 10
  float zoom_probability = 0.75f;
  float lighting = 0.05f;  // brightness and contrast are U(-this, this); 0 to below 1

  // Not in the table but for the op that reads it: beyond the border a mask is reflected like its image, or background
  // (the reference's quirk).
  bool reflect_mask = true;
  // Rotate about pixel (S/2, S/2) rounded down (the reference's quirk), not about the middle of the picture.
  bool rotate_about_whole_pixel = false;
  // Of what was magnified a part of the picture's size is cut out at random; false: it is squashed back, so that zoom
  // does nothing (the reference's quirk where it crops nothing).
  bool zoom_crop = true;

  // Nothing drawn: every table is kIdentityTable.
  static constexpr AugmentationSettings none() {
    return {.dihedral = false,
            .flip_probability = 0,
            .rotate_degrees = 0,
            .rotate_probability = 0,
            .zoom = 1,
            .zoom_probability = 0,
            .lighting = 0};
  }
};

// a[0..5]: affine map from the output pixel (x, y) to source coordinates, both with pixel centres at whole numbers:
//   sx = a[0] x + a[1] y + a[2],  sy = a[3] x + a[4] y + a[5]
// a[6]: brightness b; a[7]: contrast c', 1 + c for c >= 0 and 1 / (1 - c) below, of
//   clip((p - mean) c' + mean + b, 0, 1)  with the mean over the warped picture's pixels and channels.
using AugmentationTable = std::array<float, 8>;

inline constexpr AugmentationTable kIdentityTable{1, 0, 0, 0, 1, 0, 0, 1};

// Throws UsageError naming the setting that is outside the range given above.
void check_settings(const AugmentationSettings& settings);

// The table of one sample in one epoch for pictures of size x size. A pure function of its arguments: Philox with key
// `seed` and a stream of (epoch, sample), a fixed number of draws whatever the settings. The picture is turned and
// flipped, then rotated, then zoomed about a random centre so that the visible part stays inside. Turns and flips
// alone give whole numbers, exactly. Throws as check_settings does, and Error for a size below 1 or an epoch outside
// 0 .. 2^24 - 1.
AugmentationTable draw_table(const AugmentationSettings& settings, std::uint64_t seed, std::int64_t epoch,
                             std::uint32_t sample, int size);

// 0 .. count-1 in the order of that epoch (Fisher-Yates).
std::vector<std::uint32_t> epoch_order(std::uint32_t count, std::uint64_t seed, std::int64_t epoch);

}  // namespace dermatome::data

// Resizing of 8-bit images in whole numbers, so that every machine gets the same bytes.
#pragma once

#include "data/image/image.h"

namespace dermatome::data {

// The longest side that resize takes and gives, in pixels; the accumulators are exact up to it.
inline constexpr int kMaxResizeSide = 30000;

// `image` at width x height pixels, each axis by itself: where it shrinks, an output pixel is the mean of the source
// area it covers, pixels cut by its border counted by their exact fraction; where it grows, bilinear with half-pixel
// centres and the edge pixel repeated. The exact mean is rounded half up. Throws Error for sides outside
// 1..kMaxResizeSide.
Image resize(const Image& image, int width, int height);

// The same for a picture of full_width x full_height that `image` holds reduced: each of its pixels is the mean of
// `reduction` x `reduction`, the last of a row or column of what was left. Shrinking only: throws Error besides where
// the result has a side above `image`, and where its sides are not those of the full ones divided and rounded up.
Image resize_reduced(const Image& image, int reduction, int full_width, int full_height, int width, int height);

// A mask (one channel, 0 or 255) resized as above, then cut: 255 where the mean is above 127, else 0.
Image resize_mask(const Image& mask, int width, int height);

// A mask by its pixels floor(o in / out), as cv2.INTER_NEAREST takes them, then cut as above.
Image resize_mask_nearest(const Image& mask, int width, int height);

// 255 where a pixel is above 127, else 0, in place.
void cut_mask(Image& mask);

}  // namespace dermatome::data

// Padding of pictures whose sides a network does not take, and cutting its output back. Exported ONNX pads by the same
// rule (models/onnx_export.h).
#pragma once

#include <span>
#include <vector>

#include "data/image/image.h"

namespace dermatome::data {

// `image` at width x height pixels, no side smaller than before: what is added repeats the last column and row.
Image pad(const Image& image, int width, int height);

// The first `height` rows and `width` columns of a map whose rows have `stride` numbers.
std::vector<float> cut(std::span<const float> map, int stride, int width, int height);

}  // namespace dermatome::data

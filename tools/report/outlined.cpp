// Draws the true and the predicted outline on a photograph.
#include "tools/report/outlined.h"

#include <algorithm>
#include <cmath>

#include "data/image/outline.h"
#include "data/image/resize.h"
#include "engine/core/error.h"

namespace dermatome::report {
namespace {

constexpr int kLongestSide = 640;
constexpr double kRimBrightness = 0.3;  // of the photograph beside a line: keeps lines apart from bright skin

bool is_empty(const data::Image& image) {
  return image.pixels.empty();
}

void check_mask_of(const ReportImage& image, const data::Image& mask, const char* which) {
  if (is_empty(mask)) return;
  DERMATOME_CHECK(
      mask.channels == 1 && mask.width == image.photograph.width && mask.height == image.photograph.height,
      "the {} mask of photograph '{}' has {}x{} pixels in {} channels; it must have the {}x{} pixels of the "
      "photograph in 1",
      which, image.id, mask.width, mask.height, mask.channels, image.photograph.width, image.photograph.height);
}

struct Size {
  int width;
  int height;
};

Size drawn_size(const data::Image& photograph) {
  const double longest = std::max(photograph.width, photograph.height);
  const double scale = std::min(2.0, kLongestSide / longest);
  const auto scaled = [scale](int side) { return std::max(1, static_cast<int>(std::lround(side * scale))); };
  return {scaled(photograph.width), scaled(photograph.height)};
}

// Marks the pixels of the mask's outline, none where there is no mask.
data::Image outline_of(const data::Image& mask, int width, int height, int thickness) {
  data::Image canvas = data::make_image(width, height, 3);
  if (is_empty(mask)) return canvas;
  data::draw_outline(canvas, data::resize_mask(mask, width, height), {255, 255, 255}, thickness);
  return canvas;
}

}  // namespace

data::Image outlined(const ReportImage& image) {
  check_mask_of(image, image.truth, "true");
  check_mask_of(image, image.prediction, "predicted");
  const auto [width, height] = drawn_size(image.photograph);
  data::Image picture = data::resize(data::to_rgb(image.photograph), width, height);
  const int pen = std::max(2, static_cast<int>(std::lround(std::max(width, height) / 128.0)));
  const data::Image truth = outline_of(image.truth, width, height, pen);
  const data::Image prediction = outline_of(image.prediction, width, height, pen);
  const data::Image truth_rim = outline_of(image.truth, width, height, pen + 4);
  const data::Image prediction_rim = outline_of(image.prediction, width, height, pen + 4);
  for (std::size_t i = 0; i < picture.pixels.size(); i += 3) {
    const bool is_true = truth.pixels[i] != 0;
    const bool is_predicted = prediction.pixels[i] != 0;
    std::uint8_t* pixel = picture.pixels.data() + i;
    if (is_true || is_predicted) {
      const data::Rgb colour = !is_predicted ? kTruthColour : !is_true ? kPredictionColour : kSharedColour;
      pixel[0] = colour.r;
      pixel[1] = colour.g;
      pixel[2] = colour.b;
    } else if (truth_rim.pixels[i] != 0 || prediction_rim.pixels[i] != 0) {
      for (int c = 0; c < 3; ++c) pixel[c] = static_cast<std::uint8_t>(pixel[c] * kRimBrightness);
    }
  }
  return picture;
}

}  // namespace dermatome::report

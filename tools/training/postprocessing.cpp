// Regions in a prediction.
#include "tools/training/postprocessing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <vector>

#include "data/image/regions.h"

namespace dermatome::training {
namespace {

void measure(Prediction& prediction) {
  prediction.lesion_pixels = 0;
  prediction.box = {};
  double sum = 0;
  for (int y = 0; y < prediction.height; ++y) {
    const std::uint8_t* row = prediction.mask.row(y);
    for (int x = 0; x < prediction.width; ++x) {
      if (row[x] == 0) continue;
      Box& box = prediction.box;
      if (prediction.lesion_pixels == 0) box = {.left = x, .top = y, .right = x + 1, .bottom = y + 1};
      box = {.left = std::min(box.left, x), .top = box.top, .right = std::max(box.right, x + 1), .bottom = y + 1};
      ++prediction.lesion_pixels;
      if (!prediction.probability.empty())
        sum += static_cast<double>(prediction.probability[prediction.mask.offset(x, y)]);
    }
  }
  prediction.lesion_probability =
      prediction.lesion_pixels == 0 ? 0 : sum / static_cast<double>(prediction.lesion_pixels);
}

}  // namespace

std::string PostProcessing::text() const {
  std::vector<std::string> steps;
  if (fill_holes) steps.emplace_back("fill-holes");
  if (min_area > 0) steps.push_back(fmt::format("min-area {}", min_area));
  if (keep_largest) steps.emplace_back("keep-largest");
  return fmt::format("{}", fmt::join(steps, ", "));
}

void apply(const PostProcessing& postprocessing, Prediction& prediction) {
  if (!postprocessing.any()) return;
  if (postprocessing.fill_holes) data::fill_holes(prediction.mask);
  if (postprocessing.min_area > 0) {
    const auto pixels = static_cast<double>(prediction.mask.pixels.size());
    data::remove_small_regions(prediction.mask, static_cast<std::int64_t>(std::ceil(postprocessing.min_area * pixels)));
  }
  if (postprocessing.keep_largest) data::keep_largest_region(prediction.mask);
  measure(prediction);
}

}  // namespace dermatome::training

// What is safe to repair in a mask, and the refusals of what is not.
#include "data/mask_repair.h"

#include <cmath>
#include <cstdlib>

#include "data/image/resize.h"
#include "data/mask_values.h"

namespace dermatome::data {
namespace {

// Below that, rounding alone could make most shapes agree.
constexpr int kSmallestResized = 64;

bool has_size(const Image& mask, int width, int height) {
  return mask.width == width && mask.height == height;
}

// Whether the sides are those of the photograph times one factor, each then rounded by less than a pixel.
bool has_shape(const Image& mask, int width, int height) {
  const std::int64_t difference = std::int64_t{mask.width} * height - std::int64_t{mask.height} * width;
  return std::min(mask.width, mask.height) >= kSmallestResized && std::abs(difference) < std::max(width, height);
}

// Brings the mask into the stored grid by turning, or leaves it; throws where its size cannot belong to the photograph.
void fit(Image& mask, const StoredGrid& grid, MaskRepairs& repairs, std::string_view mask_name,
         std::string_view image_name) {
  if (has_size(mask, grid.width, grid.height)) return;
  if (swaps_sides(grid.orientation)) {
    repairs.turned = has_size(mask, grid.height, grid.width) ||
                     (!has_shape(mask, grid.width, grid.height) && has_shape(mask, grid.height, grid.width));
    if (repairs.turned) mask = to_stored(mask, grid.orientation);
  }
  if (has_size(mask, grid.width, grid.height)) return;
  repairs.resized = has_shape(mask, grid.width, grid.height);
  DERMATOME_CHECK(repairs.resized, "{} is {}x{} pixels but its photograph {} is {}x{}{}", mask_name, mask.width,
                  mask.height, image_name, grid.width, grid.height,
                  grid.orientation == Orientation::upright ? "" : " as stored, before its EXIF orientation is applied");
}

}  // namespace

RepairedMask repair_mask(Mask mask, const StoredGrid& grid, std::string_view mask_name, std::string_view image_name) {
  RepairedMask result{.mask = {}, .repairs = {.zero_one = mask.was_zero_one, .colour = mask.was_colour}};
  fit(mask.grey, grid, result.repairs, mask_name, image_name);
  const MaskValues values = inspect_mask(mask.grey);
  check_two_classes(values, mask.grey, mask_name);
  result.repairs.grey_edged = values.distinct > 2;
  if (!values.only_black_and_white) cut_mask(mask.grey);
  result.mask = std::move(mask.grey);
  return result;
}

Image at_stored_size(const RepairedMask& mask, const StoredGrid& grid) {
  return resize_mask(mask.mask, grid.width, grid.height);
}

}  // namespace dermatome::data

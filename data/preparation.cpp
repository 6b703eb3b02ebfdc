// Names and proportions.
#include "data/preparation.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/suggest.h"

namespace dermatome::data {
namespace {

template <typename Choice>
Choice parse(std::string_view name, const std::vector<std::string>& names, const char* what) {
  const auto found = std::find(names.begin(), names.end(), name);
  DERMATOME_CHECK(found != names.end(), "there is no {} '{}'{}", what, name, did_you_mean(name, names));
  return static_cast<Choice>(found - names.begin());
}

// `side` in proportion where `longer` becomes `size`, at least 1.
int in_proportion(int side, int longer, int size) {
  const std::int64_t doubled = 2 * static_cast<std::int64_t>(side) * size + longer;
  return std::max(1, static_cast<int>(doubled / (2 * static_cast<std::int64_t>(longer))));
}

}  // namespace

std::vector<std::string> resize_names() {
  return {"squash", "pad"};
}
std::string name_of(Resize resize) {
  return resize_names()[static_cast<std::size_t>(resize)];
}
Resize parse_resize(std::string_view name) {
  return parse<Resize>(name, resize_names(), "way of resizing");
}

std::vector<std::string> mask_resize_names() {
  return {"area", "nearest"};
}
std::string name_of(MaskResize resize) {
  return mask_resize_names()[static_cast<std::size_t>(resize)];
}
MaskResize parse_mask_resize(std::string_view name) {
  return parse<MaskResize>(name, mask_resize_names(), "way of resizing masks");
}

void check_size(const Preparation& preparation) {
  DERMATOME_CHECK(preparation.size >= 1 && preparation.size <= kLargestSize, "a size of {} px is outside 1 to {}",
                  preparation.size, kLargestSize);
}

std::string to_text(const Preparation& preparation) {
  std::string text = fmt::format("{} px", preparation.size);
  if (preparation.resize == Resize::pad) text += " padded";
  if (preparation.colours != ColourConstancy::none) text += ", " + name_of(preparation.colours);
  if (preparation.masks != MaskResize::area) text += ", masks " + name_of(preparation.masks);
  return text;
}

Sides content_of(const Preparation& preparation, int width, int height) {
  const int size = preparation.size;
  if (preparation.resize == Resize::squash) return {size, size};
  const int longer = std::max(width, height);
  return {in_proportion(width, longer, size), in_proportion(height, longer, size)};
}

Sides upright_content_of(const Preparation& preparation, const StoredGrid& grid) {
  const bool swapped = swaps_sides(grid.orientation);
  return content_of(preparation, swapped ? grid.height : grid.width, swapped ? grid.width : grid.height);
}

}  // namespace dermatome::data

// Outlines, tints and grids of pictures for reports.
#include "data/image/outline.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace dermatome::data {
namespace {

bool in_lesion(const Image& mask, int x, int y) {
  return x >= 0 && y >= 0 && x < mask.width && y < mask.height && mask.pixels[mask.offset(x, y)] > 127;
}

bool on_boundary(const Image& mask, int x, int y) {
  return in_lesion(mask, x, y) && !(in_lesion(mask, x - 1, y) && in_lesion(mask, x + 1, y) &&
                                    in_lesion(mask, x, y - 1) && in_lesion(mask, x, y + 1));
}

void check_pair(const Image& rgb, const Image& mask) {
  check_image(rgb);
  check_mask(mask);
  DERMATOME_CHECK(rgb.channels == 3, "a mask is drawn on an RGB image, not on one of {} channel", rgb.channels);
  DERMATOME_CHECK(rgb.width == mask.width && rgb.height == mask.height,
                  "a mask of {}x{} pixels cannot be drawn on an image of {}x{} pixels", mask.width, mask.height,
                  rgb.width, rgb.height);
}

void set_pixel(Image& rgb, int x, int y, Rgb colour) {
  if (x < 0 || y < 0 || x >= rgb.width || y >= rgb.height) return;
  std::uint8_t* pixel = rgb.pixels.data() + rgb.offset(x, y);
  pixel[0] = colour.r;
  pixel[1] = colour.g;
  pixel[2] = colour.b;
}

struct Offset {
  int x;
  int y;
};

// Pixels of a round pen of that diameter; of an even one the centre lies up and left of the middle.
std::vector<Offset> round_pen(int diameter) {
  std::vector<Offset> pen;
  const int low = -((diameter - 1) / 2);
  const double centre = low + (diameter - 1) / 2.0;
  const double radius = diameter / 2.0;
  for (int y = low; y < low + diameter; ++y) {
    for (int x = low; x < low + diameter; ++x) {
      if ((x - centre) * (x - centre) + (y - centre) * (y - centre) <= radius * radius) pen.push_back({x, y});
    }
  }
  return pen;
}

}  // namespace

Image boundary(const Image& mask) {
  check_mask(mask);
  Image result = make_image(mask.width, mask.height, 1);
  for (int y = 0; y < mask.height; ++y) {
    for (int x = 0; x < mask.width; ++x) {
      if (on_boundary(mask, x, y)) result.pixels[result.offset(x, y)] = 255;
    }
  }
  return result;
}

void draw_outline(Image& rgb, const Image& mask, Rgb colour, int thickness) {
  check_pair(rgb, mask);
  DERMATOME_CHECK(thickness >= 1, "an outline cannot be {} pixels thick", thickness);
  const auto pen = round_pen(thickness);
  for (int y = 0; y < mask.height; ++y) {
    for (int x = 0; x < mask.width; ++x) {
      if (!on_boundary(mask, x, y)) continue;
      for (const Offset dot : pen) set_pixel(rgb, x + dot.x, y + dot.y, colour);
    }
  }
}

void tint(Image& rgb, const Image& mask, Rgb colour, double opacity) {
  check_pair(rgb, mask);
  DERMATOME_CHECK(opacity >= 0 && opacity <= 1, "an opacity of {} is outside 0 to 1", opacity);
  const int weight = static_cast<int>(std::lround(opacity * 256));
  const auto mix = [weight](std::uint8_t under, std::uint8_t over) {
    return static_cast<std::uint8_t>((under * (256 - weight) + over * weight + 128) / 256);
  };
  for (std::size_t i = 0; i < mask.pixels.size(); ++i) {
    if (mask.pixels[i] <= 127) continue;
    std::uint8_t* pixel = rgb.pixels.data() + 3 * i;
    pixel[0] = mix(pixel[0], colour.r);
    pixel[1] = mix(pixel[1], colour.g);
    pixel[2] = mix(pixel[2], colour.b);
  }
}

Image grid(std::span<const Image> cells, int columns, int gap, Rgb background) {
  DERMATOME_CHECK(!cells.empty(), "a grid needs at least one picture");
  DERMATOME_CHECK(columns >= 1 && gap >= 0, "a grid cannot have {} columns {} pixels apart", columns, gap);
  const auto across = std::min(static_cast<std::size_t>(columns), cells.size());
  const auto down = (cells.size() + across - 1) / across;
  std::vector<int> widths(across);
  std::vector<int> heights(down);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    check_image(cells[i]);
    widths[i % across] = std::max(widths[i % across], cells[i].width);
    heights[i / across] = std::max(heights[i / across], cells[i].height);
  }
  const auto extent = [gap](const std::vector<int>& sides) {
    return std::accumulate(sides.begin(), sides.end(), 0) + gap * (static_cast<int>(sides.size()) - 1);
  };
  Image result = make_image(extent(widths), extent(heights), 3);
  for (int y = 0; y < result.height; ++y) {
    for (int x = 0; x < result.width; ++x) set_pixel(result, x, y, background);
  }
  int top = 0;
  for (std::size_t r = 0; r < down; ++r) {
    int left = 0;
    for (std::size_t c = 0; c < across && r * across + c < cells.size(); ++c) {
      const Image cell = to_rgb(cells[r * across + c]);
      for (int y = 0; y < cell.height; ++y) {
        std::copy_n(cell.row(y), cell.row_bytes(), result.pixels.data() + result.offset(left, top + y));
      }
      left += widths[c] + gap;
    }
    top += heights[r] + gap;
  }
  return result;
}

}  // namespace dermatome::data

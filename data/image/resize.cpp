// Area and bilinear resizing with integer weights, one axis at a time.
#include "data/image/resize.h"

#include <algorithm>
#include <array>

namespace dermatome::data {
namespace {

// Which source pixels make up each output pixel along one axis, and with what whole-number weight.
struct Axis {
  struct Span {
    int first;           // first source pixel
    int count;           // source pixels
    std::size_t weight;  // where its weights start
  };
  std::vector<Span> spans;  // one an output pixel
  std::vector<std::uint32_t> weights;
  std::uint64_t total;  // sum of the weights of any output pixel
};

// With a source pixel `block * out` units long and an output pixel `in` units long, all borders are whole numbers. The
// last source pixel may stand for less than a whole block.
Axis area_axis(int in, int out, int block = 1) {
  Axis axis{.spans = {}, .weights = {}, .total = static_cast<std::uint64_t>(in)};
  axis.spans.reserve(static_cast<std::size_t>(out));
  const std::int64_t unit = std::int64_t{block} * out;
  for (std::int64_t o = 0; o < out; ++o) {
    const std::int64_t from = o * in;
    const std::int64_t to = from + in;
    const std::int64_t first = from / unit;
    const std::int64_t last = (to - 1) / unit;
    axis.spans.push_back({static_cast<int>(first), static_cast<int>(last - first + 1), axis.weights.size()});
    for (std::int64_t i = first; i <= last; ++i) {
      axis.weights.push_back(static_cast<std::uint32_t>(std::min(to, (i + 1) * unit) - std::max(from, i * unit)));
    }
  }
  return axis;
}

// The centre of output pixel o lies at ((2o+1) in - out) / (2 out) in source pixels.
Axis bilinear_axis(int in, int out) {
  const std::int64_t unit = 2 * static_cast<std::int64_t>(out);
  Axis axis{.spans = {}, .weights = {}, .total = static_cast<std::uint64_t>(unit)};
  axis.spans.reserve(static_cast<std::size_t>(out));
  for (std::int64_t o = 0; o < out; ++o) {
    const std::int64_t centre = std::clamp<std::int64_t>((2 * o + 1) * in - out, 0, (in - 1) * unit);
    const std::int64_t first = centre / unit;
    const std::int64_t part = centre % unit;
    axis.spans.push_back({static_cast<int>(first), part == 0 ? 1 : 2, axis.weights.size()});
    axis.weights.push_back(static_cast<std::uint32_t>(unit - part));
    if (part != 0) axis.weights.push_back(static_cast<std::uint32_t>(part));
  }
  return axis;
}

Axis make_axis(int in, int out) {
  return out <= in ? area_axis(in, out) : bilinear_axis(in, out);
}

template <std::size_t C>
void resize_row(const std::uint8_t* source, const Axis& axis, std::uint32_t* sums) {
  for (const Axis::Span& span : axis.spans) {
    const std::uint32_t* weight = axis.weights.data() + span.weight;
    const std::uint8_t* pixel = source + static_cast<std::size_t>(span.first) * C;
    std::array<std::uint32_t, C> sum{};
    for (int i = 0; i < span.count; ++i, pixel += C) {
      for (std::size_t c = 0; c < C; ++c) sum[c] += weight[i] * pixel[c];
    }
    for (std::size_t c = 0; c < C; ++c) *sums++ = sum[c];
  }
}

// Source rows resized along x; neighbouring output rows share one or two of them.
class RowSums {
 public:
  RowSums(const Image& image, const Axis& axis) : image_(image), axis_(axis) {
    for (auto& row : rows_) row.resize(axis.spans.size() * static_cast<std::size_t>(image.channels));
  }

  const std::vector<std::uint32_t>& at(int y) {
    const std::size_t slot = static_cast<std::size_t>(y) % rows_.size();
    if (held_[slot] != y) {
      if (image_.channels == 1) resize_row<1>(image_.row(y), axis_, rows_[slot].data());
      if (image_.channels == 3) resize_row<3>(image_.row(y), axis_, rows_[slot].data());
      held_[slot] = y;
    }
    return rows_[slot];
  }

 private:
  const Image& image_;
  const Axis& axis_;
  std::array<std::vector<std::uint32_t>, 2> rows_;
  std::array<int, 2> held_{-1, -1};
};

void check_sides(const Image& image, int width, int height) {
  check_image(image);
  DERMATOME_CHECK(width > 0 && height > 0 && std::max(width, height) <= kMaxResizeSide,
                  "cannot resize to {}x{} pixels: sides must lie in 1 to {}", width, height, kMaxResizeSide);
  DERMATOME_CHECK(std::max(image.width, image.height) <= kMaxResizeSide,
                  "cannot resize an image of {}x{} pixels: a side is above {}", image.width, image.height,
                  kMaxResizeSide);
}

Image apply(const Image& image, const Axis& across, const Axis& down) {
  const std::uint64_t total = across.total * down.total;
  Image result = make_image(static_cast<int>(across.spans.size()), static_cast<int>(down.spans.size()), image.channels);
  RowSums rows(image, across);
  std::vector<std::uint64_t> sums(result.row_bytes());
  for (int y = 0; y < result.height; ++y) {
    const Axis::Span& span = down.spans[static_cast<std::size_t>(y)];
    std::fill(sums.begin(), sums.end(), total / 2);
    for (int i = 0; i < span.count; ++i) {
      const std::uint64_t weight = down.weights[span.weight + static_cast<std::size_t>(i)];
      const auto& row = rows.at(span.first + i);
      for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += weight * row[k];
    }
    std::uint8_t* out = result.row(y);
    for (std::size_t k = 0; k < sums.size(); ++k) out[k] = static_cast<std::uint8_t>(sums[k] / total);
  }
  return result;
}

}  // namespace

Image resize(const Image& image, int width, int height) {
  check_sides(image, width, height);
  if (width == image.width && height == image.height) return image;
  return apply(image, make_axis(image.width, width), make_axis(image.height, height));
}

Image resize_reduced(const Image& image, int reduction, int full_width, int full_height, int width, int height) {
  if (reduction == 1 && image.width == full_width && image.height == full_height) return resize(image, width, height);
  check_sides(image, width, height);
  const auto reduced = [&](int side) { return (side + reduction - 1) / reduction; };
  DERMATOME_CHECK(reduction > 1 && std::max(full_width, full_height) <= kMaxResizeSide &&
                      image.width == reduced(full_width) && image.height == reduced(full_height),
                  "an image of {}x{} pixels is not one of {}x{} reduced by {}", image.width, image.height, full_width,
                  full_height, reduction);
  DERMATOME_CHECK(width <= image.width && height <= image.height,
                  "a reduced image of {}x{} pixels cannot grow to {}x{}", image.width, image.height, width, height);
  return apply(image, area_axis(full_width, width, reduction), area_axis(full_height, height, reduction));
}

void cut_mask(Image& mask) {
  for (auto& pixel : mask.pixels) pixel = pixel > 127 ? 255 : 0;
}

Image resize_mask(const Image& mask, int width, int height) {
  check_mask(mask);
  Image result = resize(mask, width, height);
  cut_mask(result);
  return result;
}

Image resize_mask_nearest(const Image& mask, int width, int height) {
  check_mask(mask);
  check_sides(mask, width, height);
  Image result = make_image(width, height, 1);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* from = mask.row(static_cast<int>(std::int64_t{y} * mask.height / height));
    std::uint8_t* to = result.row(y);
    for (int x = 0; x < width; ++x) to[x] = from[std::int64_t{x} * mask.width / width];
  }
  cut_mask(result);
  return result;
}

}  // namespace dermatome::data

// Bilinear growth, one axis at a time, cut at the threshold row by row: a map of the photograph's size is held only on
// request, since 30 megapixels of it are 120 MB.
#include "tools/training/predictor_grid.h"

#include <algorithm>
#include <array>

#include "data/image/orientation.h"
#include "engine/core/error.h"

namespace dermatome::training {
namespace {

// The two source positions of an output position, and the weights of both.
struct Tap {
  int low, high;
  float low_weight, high_weight;
};

// In whole numbers, so that a mirrored axis gets the same weights: the centre of output o lies at
// ((2 o + 1) in - out) / (2 out).
std::vector<Tap> taps_of(int in, int out) {
  const std::int64_t unit = 2 * static_cast<std::int64_t>(out);
  std::vector<Tap> taps;
  taps.reserve(static_cast<std::size_t>(out));
  for (std::int64_t o = 0; o < out; ++o) {
    const std::int64_t last = static_cast<std::int64_t>(in - 1) * unit;
    const std::int64_t centre = std::clamp<std::int64_t>((2 * o + 1) * in - out, 0, last);
    const std::int64_t low = centre / unit;
    const auto part = static_cast<double>(centre % unit);
    taps.push_back({.low = static_cast<int>(low),
                    .high = static_cast<int>(std::min<std::int64_t>(low + 1, in - 1)),
                    .low_weight = static_cast<float>((static_cast<double>(unit) - part) / static_cast<double>(unit)),
                    .high_weight = static_cast<float>(part / static_cast<double>(unit))});
  }
  return taps;
}

// How much each source position weighs in the sum over all output positions.
std::vector<double> total_weights(const std::vector<Tap>& taps, int in) {
  std::vector<double> totals(static_cast<std::size_t>(in));
  for (const Tap& tap : taps) {
    totals[static_cast<std::size_t>(tap.low)] += static_cast<double>(tap.low_weight);
    totals[static_cast<std::size_t>(tap.high)] += static_cast<double>(tap.high_weight);
  }
  return totals;
}

struct RowResult {
  int first = 0, last = -1;  // lesion pixels
  int count = 0;
  double sum = 0;  // of their probabilities
};

// One row of the output: mixed, cut, counted. `values` may be null.
RowResult finish_row(const float* low, const float* high, const Tap& tap, int width, float threshold,
                     std::uint8_t* mask, float* values) {
  constexpr int kLanes = 16;  // independent sums, which the compiler keeps in vectors
  std::array<float, kLanes> sums{};
  int x = 0;
  for (; x + kLanes <= width; x += kLanes) {
    for (int i = 0; i < kLanes; ++i) {
      const float p = low[x + i] * tap.low_weight + high[x + i] * tap.high_weight;
      const bool lesion = p > threshold;
      mask[x + i] = lesion ? 255 : 0;
      sums[static_cast<std::size_t>(i)] += lesion ? p : 0.0f;
    }
  }
  RowResult result;
  for (const float sum : sums) result.sum += static_cast<double>(sum);
  for (; x < width; ++x) {
    const float p = low[x] * tap.low_weight + high[x] * tap.high_weight;
    mask[x] = p > threshold ? 255 : 0;
    result.sum += p > threshold ? static_cast<double>(p) : 0.0;
  }
  if (values != nullptr) {
    for (x = 0; x < width; ++x) values[x] = low[x] * tap.low_weight + high[x] * tap.high_weight;
  }
  result.count = static_cast<int>(std::count(mask, mask + width, std::uint8_t{255}));
  if (result.count > 0) {
    result.first = static_cast<int>(std::find(mask, mask + width, std::uint8_t{255}) - mask);
    result.last = width - 1;
    while (mask[result.last] == 0) --result.last;
  }
  return result;
}

// The map's rows, each grown to the output's width.
std::vector<float> widened(std::span<const float> map, int size, const std::vector<Tap>& across) {
  std::vector<float> rows(static_cast<std::size_t>(size) * across.size());
  for (std::size_t y = 0; y < static_cast<std::size_t>(size); ++y) {
    const float* source = map.data() + y * static_cast<std::size_t>(size);
    float* out = rows.data() + y * across.size();
    for (const Tap& tap : across) *out++ = source[tap.low] * tap.low_weight + source[tap.high] * tap.high_weight;
  }
  return rows;
}

// The mean over the output follows from the map alone, since growing is linear.
double mean_of(std::span<const float> map, int size, const std::vector<Tap>& across, const std::vector<Tap>& down) {
  const auto columns = total_weights(across, size);
  const auto rows = total_weights(down, size);
  double sum = 0;
  for (std::size_t y = 0; y < rows.size(); ++y) {
    double row = 0;
    for (std::size_t x = 0; x < columns.size(); ++x)
      row += columns[x] * static_cast<double>(map[y * columns.size() + x]);
    sum += rows[y] * row;
  }
  return sum / (static_cast<double>(across.size()) * static_cast<double>(down.size()));
}

void gather(const std::vector<RowResult>& rows, Prediction& prediction) {
  double sum = 0;
  for (int y = 0; y < prediction.height; ++y) {
    const RowResult& row = rows[static_cast<std::size_t>(y)];
    if (row.count == 0) continue;
    Box& box = prediction.box;
    const bool first = prediction.lesion_pixels == 0;
    box = {.left = first ? row.first : std::min(box.left, row.first),
           .top = first ? y : box.top,
           .right = std::max(box.right, row.last + 1),
           .bottom = y + 1};
    prediction.lesion_pixels += row.count;
    sum += row.sum;
  }
  if (!prediction.is_empty()) prediction.lesion_probability = sum / static_cast<double>(prediction.lesion_pixels);
}

}  // namespace

Prediction to_stored_grid(std::span<const float> map, int size, const data::StoredGrid& grid, double threshold,
                          bool keep_probability) {
  DERMATOME_CHECK(size > 0 && map.size() == static_cast<std::size_t>(size) * static_cast<std::size_t>(size),
                  "{} probabilities are no map of {}x{}", map.size(), size, size);
  std::vector<float> turned;
  if (grid.orientation != data::Orientation::upright) {
    turned = data::turned<float>(map, size, size, 1, data::inverse(grid.orientation));
    map = turned;
  }
  Prediction prediction{
      .width = grid.width, .height = grid.height, .mask = data::make_image(grid.width, grid.height, 1)};
  if (keep_probability) prediction.probability.resize(prediction.mask.pixels.size());
  const auto across = taps_of(size, grid.width);
  const auto down = taps_of(size, grid.height);
  const std::vector<float> wide = widened(map, size, across);
  std::vector<RowResult> rows(static_cast<std::size_t>(grid.height));
#pragma omp parallel for schedule(static)
  for (int y = 0; y < grid.height; ++y) {
    const Tap& tap = down[static_cast<std::size_t>(y)];
    const auto row_of = [&](int source) { return wide.data() + static_cast<std::size_t>(source) * across.size(); };
    float* values = keep_probability ? prediction.probability.data() + prediction.mask.offset(0, y) : nullptr;
    rows[static_cast<std::size_t>(y)] = finish_row(row_of(tap.low), row_of(tap.high), tap, grid.width,
                                                   static_cast<float>(threshold), prediction.mask.row(y), values);
  }
  gather(rows, prediction);
  prediction.mean_probability = mean_of(map, size, across, down);
  return prediction;
}

}  // namespace dermatome::training

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

constexpr Tap kAsItIs{.low = 0, .high = 0, .low_weight = 1, .high_weight = 0};

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

// Maps of one size, averaged, on their way into the grid of the file.
struct Layer {
  ProbabilityMap map;
  std::size_t count = 1;  // of maps
  std::vector<Tap> across = {}, down = {};
  std::vector<float> wide = {};  // the map's rows, each grown to the output's width

  const float* row(int y) const { return wide.data() + static_cast<std::size_t>(y) * across.size(); }
};

void turn(ProbabilityMap& map, data::Orientation orientation) {
  if (orientation == data::Orientation::upright) return;
  map.values = data::turned<float>(map.values, map.width, map.height, 1, data::inverse(orientation));
  if (data::swaps_sides(orientation)) std::swap(map.width, map.height);
}

// The values of the maps of that size, times `weight`, added up.
std::vector<float> weighted_sum(std::span<const ProbabilityMap> maps, const ProbabilityMap& like, double weight) {
  std::vector<double> sums(like.values.size());
  for (const auto& map : maps) {
    if (map.width != like.width || map.height != like.height) continue;
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<double>(map.values[i]);
  }
  std::vector<float> values;
  values.reserve(sums.size());
  for (const double sum : sums) values.push_back(static_cast<float>(sum * weight));
  return values;
}

std::vector<Layer> layers_of(std::span<const ProbabilityMap> maps) {
  std::vector<Layer> layers;
  for (const auto& map : maps) {
    DERMATOME_CHECK(map.width > 0 && map.height > 0 &&
                        map.values.size() == static_cast<std::size_t>(map.width) * static_cast<std::size_t>(map.height),
                    "{} probabilities are no map of {}x{}", map.values.size(), map.width, map.height);
    const auto same = std::find_if(layers.begin(), layers.end(), [&](const Layer& layer) {
      return layer.map.width == map.width && layer.map.height == map.height;
    });
    if (same == layers.end()) {
      layers.push_back({.map = map});
    } else {
      ++same->count;
    }
  }
  if (maps.size() == 1) return layers;
  for (Layer& layer : layers) layer.map.values = weighted_sum(maps, layer.map, 1 / static_cast<double>(maps.size()));
  return layers;
}

void widen(Layer& layer, const data::StoredGrid& grid) {
  layer.across = taps_of(layer.map.width, grid.width);
  layer.down = taps_of(layer.map.height, grid.height);
  layer.wide.resize(static_cast<std::size_t>(layer.map.height) * layer.across.size());
  float* out = layer.wide.data();
  for (int y = 0; y < layer.map.height; ++y) {
    const float* source =
        layer.map.values.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(layer.map.width);
    for (const Tap& tap : layer.across) *out++ = source[tap.low] * tap.low_weight + source[tap.high] * tap.high_weight;
  }
}

// The mean over the output follows from the map alone, since growing is linear.
double mean_of(const Layer& layer) {
  const auto columns = total_weights(layer.across, layer.map.width);
  const auto rows = total_weights(layer.down, layer.map.height);
  double sum = 0;
  for (std::size_t y = 0; y < rows.size(); ++y) {
    double row = 0;
    for (std::size_t x = 0; x < columns.size(); ++x)
      row += columns[x] * static_cast<double>(layer.map.values[y * columns.size() + x]);
    sum += rows[y] * row;
  }
  return sum / (static_cast<double>(layer.across.size()) * static_cast<double>(layer.down.size()));
}

// One row of the output where maps of several sizes meet.
std::vector<float> mixed_row(const std::vector<Layer>& layers, int y, int width) {
  std::vector<float> row(static_cast<std::size_t>(width));
  for (const Layer& layer : layers) {
    const Tap& tap = layer.down[static_cast<std::size_t>(y)];
    const float* low = layer.row(tap.low);
    const float* high = layer.row(tap.high);
    for (int x = 0; x < width; ++x)
      row[static_cast<std::size_t>(x)] += low[x] * tap.low_weight + high[x] * tap.high_weight;
  }
  return row;
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

Prediction to_stored_grid(std::span<const ProbabilityMap> maps, const data::StoredGrid& grid, double threshold,
                          bool keep_probability) {
  DERMATOME_CHECK(!maps.empty(), "there is no map of probabilities");
  std::vector<Layer> layers = layers_of(maps);
  Prediction prediction{
      .width = grid.width, .height = grid.height, .mask = data::make_image(grid.width, grid.height, 1)};
  if (keep_probability) prediction.probability.resize(prediction.mask.pixels.size());
  for (Layer& layer : layers) {
    turn(layer.map, grid.orientation);
    widen(layer, grid);
    prediction.mean_probability += mean_of(layer);
  }
  std::vector<RowResult> rows(static_cast<std::size_t>(grid.height));
  const auto cut = static_cast<float>(threshold);
#pragma omp parallel for schedule(static)
  for (int y = 0; y < grid.height; ++y) {
    std::uint8_t* mask = prediction.mask.row(y);
    float* values = keep_probability ? prediction.probability.data() + prediction.mask.offset(0, y) : nullptr;
    RowResult& row = rows[static_cast<std::size_t>(y)];
    if (layers.size() == 1) {
      const Tap& tap = layers.front().down[static_cast<std::size_t>(y)];
      row = finish_row(layers.front().row(tap.low), layers.front().row(tap.high), tap, grid.width, cut, mask, values);
    } else {
      const auto mixed = mixed_row(layers, y, grid.width);
      row = finish_row(mixed.data(), mixed.data(), kAsItIs, grid.width, cut, mask, values);
    }
  }
  gather(rows, prediction);
  return prediction;
}

Prediction to_stored_grid(std::span<const float> map, int size, const data::StoredGrid& grid, double threshold,
                          bool keep_probability) {
  const ProbabilityMap square{.width = size, .height = size, .values = {map.begin(), map.end()}};
  return to_stored_grid(std::span(&square, 1), grid, threshold, keep_probability);
}

}  // namespace dermatome::training

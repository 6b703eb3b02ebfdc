// Estimating the light from histograms, which need no order of adding, and looking the results up.
#include "data/colour_constancy.h"

#include <algorithm>
#include <cmath>

#include "engine/core/suggest.h"

namespace dermatome::data {
namespace {

using Histogram = std::array<std::uint64_t, 256>;

std::array<Histogram, 3> histograms_of(const Image& rgb) {
  std::array<Histogram, 3> histograms{};
  for (std::size_t i = 0; i < rgb.pixels.size(); i += 3) {
    for (std::size_t c = 0; c < 3; ++c) ++histograms[c][rgb.pixels[i + c]];
  }
  return histograms;
}

// By Newton's method from above: libm's differs between processors in the last bit.
double cube_root(double x) {
  double root = std::max(x, 1.0);
  for (int i = 0; i < 100; ++i) root -= (root - x / (root * root)) / 3;
  return root;
}

double mean_power(const Histogram& histogram, int power) {
  double sum = 0;
  double count = 0;
  for (std::size_t value = 0; value < histogram.size(); ++value) {
    double raised = 1;
    for (int i = 0; i < power; ++i) raised *= static_cast<double>(value);
    sum += static_cast<double>(histogram[value]) * raised;
    count += static_cast<double>(histogram[value]);
  }
  return sum / count;
}

double light_of(const Histogram& histogram, ColourConstancy method) {
  switch (method) {
    case ColourConstancy::gray_world: return mean_power(histogram, 1);
    case ColourConstancy::shades_of_gray: return cube_root(std::sqrt(mean_power(histogram, 6)));
    case ColourConstancy::max_rgb:
      for (std::size_t value = 255; value > 0; --value) {
        if (histogram[value] > 0) return static_cast<double>(value);
      }
      return 0;
    case ColourConstancy::none: break;
  }
  fail("without colour constancy no light is estimated");
}

}  // namespace

std::vector<std::string> colour_constancy_names() {
  return {"none", "gray-world", "shades-of-gray", "max-rgb"};
}

std::string name_of(ColourConstancy method) {
  return colour_constancy_names()[static_cast<std::size_t>(method)];
}

ColourConstancy parse_colour_constancy(std::string_view name) {
  const auto names = colour_constancy_names();
  const auto found = std::find(names.begin(), names.end(), name);
  DERMATOME_CHECK(found != names.end(), "there is no colour constancy '{}'{}", name, did_you_mean(name, names));
  return static_cast<ColourConstancy>(found - names.begin());
}

std::array<double, 3> light_of(const Image& rgb, ColourConstancy method) {
  check_image(rgb);
  DERMATOME_CHECK(rgb.channels == 3, "colours are balanced in RGB images, not in {} channel(s)", rgb.channels);
  const auto histograms = histograms_of(rgb);
  return {light_of(histograms[0], method), light_of(histograms[1], method), light_of(histograms[2], method)};
}

void balance_colours(Image& rgb, ColourConstancy method) {
  if (method == ColourConstancy::none) return;
  const auto light = light_of(rgb, method);
  const double white = std::sqrt((light[0] * light[0] + light[1] * light[1] + light[2] * light[2]) / 3);
  std::array<std::array<std::uint8_t, 256>, 3> table{};
  for (std::size_t c = 0; c < 3; ++c) {
    const double factor = light[c] > 0 ? white / light[c] : 1;
    for (std::size_t value = 0; value < 256; ++value) {
      table[c][value] = static_cast<std::uint8_t>(std::min(255.0, static_cast<double>(value) * factor + 0.5));
    }
  }
  for (std::size_t i = 0; i < rgb.pixels.size(); i += 3) {
    for (std::size_t c = 0; c < 3; ++c) rgb.pixels[i + c] = table[c][rgb.pixels[i + c]];
  }
}

}  // namespace dermatome::data

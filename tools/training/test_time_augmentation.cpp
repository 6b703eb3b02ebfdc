// Turning inputs and turning maps back.
#include "tools/training/test_time_augmentation.h"

#include <fmt/ranges.h>

#include <array>

#include "engine/core/error.h"

namespace dermatome::training {
namespace {

using data::Orientation;

constexpr std::array kAugmentations{TestTimeAugmentation::none, TestTimeAugmentation::flips,
                                    TestTimeAugmentation::dihedral};

constexpr std::array kTurns{Orientation::upright,
                            Orientation::mirror,
                            Orientation::flip,
                            Orientation::half_turn,
                            Orientation::quarter_clockwise,
                            Orientation::quarter_anticlockwise,
                            Orientation::transpose,
                            Orientation::transverse};

// Squares keep their size.
data::Image turned(const data::Image& image, Orientation turn) {
  data::Image result = image;
  if (turn != Orientation::upright) {
    result.pixels = data::turned<std::uint8_t>(image.pixels, image.width, image.height, image.channels, turn);
  }
  return result;
}

}  // namespace

std::string_view name_of(TestTimeAugmentation augmentation) {
  switch (augmentation) {
    case TestTimeAugmentation::none: return "none";
    case TestTimeAugmentation::flips: return "flips";
    case TestTimeAugmentation::dihedral: return "dihedral";
  }
  return "?";
}

std::vector<std::string> test_time_augmentation_names() {
  std::vector<std::string> names;
  for (const auto augmentation : kAugmentations) names.emplace_back(name_of(augmentation));
  return names;
}

TestTimeAugmentation parse_test_time_augmentation(std::string_view name) {
  for (const auto augmentation : kAugmentations) {
    if (name_of(augmentation) == name) return augmentation;
  }
  fail_usage("'{}' is no test-time augmentation ({})", name, fmt::join(test_time_augmentation_names(), ", "));
}

std::span<const Orientation> turns_of(TestTimeAugmentation augmentation) {
  const std::span<const Orientation> all(kTurns);
  switch (augmentation) {
    case TestTimeAugmentation::none: return all.first(1);
    case TestTimeAugmentation::flips: return all.first(4);
    case TestTimeAugmentation::dihedral: return all;
  }
  return all.first(1);
}

std::vector<AugmentedMaps> augmented_probabilities(Predictor& predictor, std::span<const data::Image> inputs,
                                                   TestTimeAugmentation augmentation) {
  const auto turns = turns_of(augmentation);
  std::vector<AugmentedMaps> maps(inputs.size());
  std::vector<std::vector<double>> sums(inputs.size());  // in f64 equal maps average to the same bits
  for (const Orientation turn : turns) {
    std::vector<data::Image> seen;
    for (const auto& input : inputs) seen.push_back(turned(input, turn));
    auto said = predictor.probabilities(seen);
    for (std::size_t i = 0; i < said.size(); ++i) {
      if (turn == Orientation::upright) {
        maps[i].plain = std::move(said[i]);
        sums[i].assign(maps[i].plain.begin(), maps[i].plain.end());
        continue;
      }
      const auto back = data::turned<float>(said[i], predictor.size(), predictor.size(), 1, data::inverse(turn));
      for (std::size_t p = 0; p < back.size(); ++p) sums[i][p] += static_cast<double>(back[p]);
    }
  }
  for (std::size_t i = 0; i < maps.size(); ++i) {
    maps[i].mean.reserve(sums[i].size());
    for (const double sum : sums[i])
      maps[i].mean.push_back(static_cast<float>(sum / static_cast<double>(turns.size())));
  }
  return maps;
}

}  // namespace dermatome::training

// Test-time augmentation: a network also sees turned copies of a photograph, and what it says of them is turned back
// and averaged. Of the group of a square's eight turns, so that nothing is interpolated and the inversion is exact.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/orientation.h"
#include "tools/training/predictor.h"

namespace dermatome::training {

enum class TestTimeAugmentation : std::uint8_t {
  none,
  flips,     // left and right, top and bottom, both: 4 in all
  dihedral,  // these and the quarter turns: 8 in all
};

std::vector<std::string> test_time_augmentation_names();
std::string_view name_of(TestTimeAugmentation augmentation);
TestTimeAugmentation parse_test_time_augmentation(std::string_view name);  // throws UsageError

// The turns, the first of which leaves the photograph as it is.
std::span<const data::Orientation> turns_of(TestTimeAugmentation augmentation);

// What a network says of each photograph: as it is, and the mean over the turns (the same map where there is but one).
struct AugmentedMaps {
  std::vector<float> plain, mean;
};

// One turn of all inputs goes through the network at a time, so the memory is that of a plain prediction.
std::vector<AugmentedMaps> augmented_probabilities(Predictor& predictor, std::span<const data::Image> inputs,
                                                   TestTimeAugmentation augmentation);

}  // namespace dermatome::training

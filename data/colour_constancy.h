// Colour constancy: photographs under light of any colour brought to what they would be under white light.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/image.h"

namespace dermatome::data {

// What the light's colour is taken to be: the mean of a channel (gray-world, Buchsbaum 1980), its largest value
// (max-RGB, Land 1977), or between the two the mean of the sixth powers (shades-of-gray, Finlayson & Trezzi 2004).
enum class ColourConstancy : std::uint8_t { none, gray_world, shades_of_gray, max_rgb };

std::vector<std::string> colour_constancy_names();  // in the order of the enumerators
std::string name_of(ColourConstancy method);
ColourConstancy parse_colour_constancy(std::string_view name);  // one of the names; throws Error for others

// The estimate for each channel, 0 to 255: (mean of v^p)^(1/p). Not for `none`.
std::array<double, 3> light_of(const Image& rgb, ColourConstancy method);

// Divides each channel by its share of the light, such that white light changes nothing: by sqrt(3) e / |e|. Rounded
// half up and clipped to 255; a channel without any light stays as it is. The values are taken as they are stored, not
// linearised, and the bytes are the same on every machine.
void balance_colours(Image& rgb, ColourConstancy method);

}  // namespace dermatome::data

// What a weight is called here, whatever the program that wrote the file called it.
#pragma once

#include <string>
#include <string_view>

namespace dermatome {

// torchvision's name of an encoder's weight, fastai's of a decoder's: "module.", "encoder." and "backbone." at the
// start are dropped, and fastai 0.7's numbers of the encoder's parts replaced ("rn.4.0.conv1.weight":
// "layer1.0.conv1.weight").
std::string canonical_weight_name(std::string_view key);

}  // namespace dermatome

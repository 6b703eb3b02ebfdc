// The order of the attributes of slice and slice_gradient.
#pragma once

namespace dermatome::slice {

enum Attribute { kBegin, kChannels };

}  // namespace dermatome::slice

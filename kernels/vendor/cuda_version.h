// What this build and this machine have of CUDA, for `dermatome info`; free of CUDA's headers.
#pragma once

#include <string>

namespace dermatome::cuda {

// "runtime 13.0, driver for 13.1; code for sm_90 and PTX of the last"
std::string version_text();

}  // namespace dermatome::cuda

// NumPy's .npy files (format version 1.0), for dumps and probability maps.
#pragma once

#include <filesystem>

#include "engine/core/tensor.h"

namespace dermatome {

// Writes to a temporary file that then takes the name. bf16 is written as f32. Throws Error when it cannot be written.
void write_npy(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace dermatome

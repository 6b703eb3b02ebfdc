// Probability maps as NumPy files.
#include "engine/core/npy.h"

#include "data/codec.h"

namespace dermatome::data {

void write_npy(const std::filesystem::path& path, std::span<const float> values, int height, int width) {
  DERMATOME_CHECK(
      height > 0 && width > 0 && values.size() == static_cast<std::size_t>(height) * static_cast<std::size_t>(width),
      "{} values do not make a map of {}x{} pixels for {}", values.size(), width, height, path.string());
  Tensor map({DType::f32, {height, width}});
  std::memcpy(map.data(), values.data(), values.size_bytes());
  dermatome::write_npy(path, map);
}

}  // namespace dermatome::data

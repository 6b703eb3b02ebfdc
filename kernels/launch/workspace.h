// How a kernel divides its workspace into parts.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dermatome::launch {

// Hands out offsets, each aligned as the workspace itself is.
class WorkspaceLayout {
 public:
  static constexpr std::int64_t kAlignment = 64;

  std::int64_t take(std::int64_t bytes) {
    const std::int64_t at = bytes_;
    bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return at;
  }
  std::int64_t take_floats(std::int64_t count) { return take(count * static_cast<std::int64_t>(sizeof(float))); }
  std::int64_t bytes() const { return bytes_; }

 private:
  std::int64_t bytes_ = 0;
};

// The part at an offset; null in a workspace that is not there yet, as where its size is asked for.
template <typename T>
T* part_of(void* workspace, std::int64_t offset) {
  return workspace == nullptr ? nullptr : reinterpret_cast<T*>(static_cast<std::byte*>(workspace) + offset);
}

}  // namespace dermatome::launch

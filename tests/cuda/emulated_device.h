// A CUDA device that is the host: its memory the host can read, its streams have no native handle, so every own kernel
// runs its host body. Everything above the launch templates is tested with it, whole programs included.
#pragma once

#include "engine/core/device.h"

namespace dermatome::harness {

inline constexpr Device kCuda{DeviceKind::cuda, 0};

// In place of the real backend for as long as it lives. Everything allocated on it must be released before.
class EmulatedDevice {
 public:
  EmulatedDevice();
  ~EmulatedDevice();
  EmulatedDevice(const EmulatedDevice&) = delete;
  EmulatedDevice& operator=(const EmulatedDevice&) = delete;

  int recordings() const { return recordings_; }  // made on its streams

 private:
  int recordings_ = 0;
  std::unique_ptr<Backend> real_;
};

}  // namespace dermatome::harness

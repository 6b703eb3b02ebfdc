// A CUDA device that is the host: its memory the host can read, its streams have no native handle, so every own kernel
// runs its host body. Everything above the launch templates is tested with it, whole programs included.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <vector>

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

  // What it has of memory, from now on; 64 GiB at first. What is more than that is refused, as a device would.
  void set_memory(std::size_t bytes) { log_.memory = bytes; }
  std::size_t memory_in_use() const { return log_.in_use; }
  int recordings() const { return log_.recordings; }  // made on its streams
  // Work that is submitted to a stream runs when another waits for it, the latest that a device may run it, and not at
  // once, the earliest. `submitted`: how much there was.
  void put_off_submitted_work(bool on) { log_.put_off = on; }
  int submitted() const { return log_.submitted; }
  // Streams offer marks, of a clock that goes on by so many seconds with each; 0: none, as the host does.
  void offer_marks(double seconds) { log_.mark_seconds = seconds; }
  int marks() const { return log_.marks; }
  // As a GPU says it that has no products of bf16.
  void set_why_no_bf16(const std::string& sentence) { log_.why_no_bf16 = sentence; }
  // The ranges that began while a profiler was asked to collect.
  const std::vector<std::string>& collected() const { return log_.collected; }

  struct Log {
    std::size_t memory = std::size_t{64} << 30;
    std::atomic<std::size_t> in_use = 0;
    int recordings = 0;
    int open_ranges = 0;
    int submitted = 0;
    bool put_off = false;
    int marks = 0;
    double mark_seconds = 0;
    bool collecting = false;
    const Stream* replayed = nullptr;  // on which a recording is being replayed
    std::vector<std::string> collected;
    std::string why_no_bf16;
  };

 private:
  Log log_;
  std::unique_ptr<Backend> real_;
};

}  // namespace dermatome::harness

// The CUDA runtime behind one file: the device's backend (memory, copies, streams, recordings), errors that say which
// call failed, and why there is no GPU where there is none.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <span>
#include <string>

#include "engine/core/device.h"
#include "engine/core/error.h"
#include "kernels/vendor/cuda_version.h"

namespace dermatome::cuda {

// Throws Error naming the call and CUDA's own words for what went wrong.
void check(cudaError_t status, const char* call);
#define DERMATOME_CUDA_CALL(call) ::dermatome::cuda::check(call, #call)

// Makes the device the thread's current one.
void use(int device);

// A GPU's compute capability as one number: 90 for 9.0.
int capability(int device);
std::string name_of_device(int device);

// Whether machine code for some of `architectures` (rising), or the PTX of the last, runs on a GPU of that capability.
bool code_runs_on(int capability, std::span<const int> architectures);

// One sentence for each reason why a device cannot be used.
std::string why_no_device(cudaError_t status, int driver_version, int runtime_version);
std::string why_no_code(const std::string& device, int capability, std::span<const int> architectures);
// Empty where a GPU of that capability multiplies bf16.
std::string why_no_bf16(const std::string& device, int capability);

// Events, for timing what is queued on a stream.
class Event {
 public:
  Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event();
  void record(cudaStream_t stream);
  void wait();
  double seconds_since(const Event& earlier) const;

 private:
  cudaEvent_t event_ = nullptr;
};

inline cudaStream_t native(Stream& stream) {
  return static_cast<cudaStream_t>(stream.native());
}

}  // namespace dermatome::cuda

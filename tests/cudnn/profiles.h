// Device profiles of GPUs that are not here, as cuDNN takes them.
#pragma once

#include <fmt/format.h>

#include <string>

namespace dermatome::cudnn {

struct GpuModel {
  int capability;
  int multiprocessors;
  int shared_memory;  // bytes that a block may ask for
  int threads_per_multiprocessor;
  long cache_mebibytes, memory_gibibytes;
  const char* name;
};

inline constexpr GpuModel kGpuModels[] = {
    {80, 108, 166912, 2048, 40, 40, "NVIDIA A100-SXM4-40GB"},
    {90, 132, 232448, 2048, 60, 140, "NVIDIA H200"},
    {100, 148, 232448, 2048, 126, 180, "NVIDIA B200"},
    {120, 170, 101376, 1536, 96, 32, "NVIDIA GeForce RTX 5090"},
};

inline std::string profile_of(const GpuModel& gpu) {
  return fmt::format(
      R"({{"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,)"
      R"("multiProcessorCount":{},"warpSize":32,"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":{},)"
      R"("reservedSharedMemoryPerBlock":1024,"maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,)"
      R"("maxThreadsPerSM":{},"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,"totalGlobalMem":{},)"
      R"("smClockRateKHz":1980000,"memClockRateKHz":3201000,"l2CacheSize":{},"cudaDeviceId":0,"deviceVer":{},)"
      R"("driverVer":13000,"deviceName":"{}"}})",
      gpu.multiprocessors, gpu.shared_memory, gpu.threads_per_multiprocessor, gpu.memory_gibibytes << 30,
      gpu.cache_mebibytes << 20, gpu.capability * 10, gpu.name);
}

}  // namespace dermatome::cudnn

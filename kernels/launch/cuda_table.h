// Tables of CUDA kernel functions: how a family's cuda.cu offers them. Light, because nvcc reads it in every family.
#pragma once

#include <vector>

#include "engine/compile/call.h"
#include "kernels/launch/operands.h"

namespace dermatome::launch {

// Registers a table, ended by a null op, for the device kind cuda under the name "cuda". Operands of f64 are declined:
// no kernel of ours computes in it.
struct CudaTableRegistrar {
  explicit CudaTableRegistrar(const FunctionEntry* table, const char* implementation = "cuda", int priority = 0);
};

namespace cuda {

// The cudaStream_t of a call, or null where the call is to run on the host: then the launch templates run their host
// bodies, which split and add up exactly as their device bodies do.
void* stream_of(const Call& call);

// Throws Error when the last launch failed.
void check_launch();

}  // namespace cuda
}  // namespace dermatome::launch

// At the end of a family's cuda.cu: DERMATOME_CUDA_TABLE(relu, {"relu", DType::f32, relu::forward<float>}, ...)
#define DERMATOME_CUDA_TABLE(family, ...)                                                           \
  namespace dermatome {                                                                             \
  static const FunctionEntry cuda_table_##family[] = {__VA_ARGS__, {nullptr, DType::f32, nullptr}}; \
  static const launch::CudaTableRegistrar cuda_registrar_##family(cuda_table_##family);             \
  }

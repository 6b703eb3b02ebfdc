// Marks of functions that run on the host and on CUDA devices, and the namespace that keeps instruction sets apart.
#pragma once

#ifdef __CUDACC__
#define DERMATOME_HD __host__ __device__ __forceinline__
#else
#define DERMATOME_HD inline __attribute__((always_inline))
#endif

// Files compiled once per instruction set define DERMATOME_ISA (v2, v3, v4, v4_bf16). Everything inline that they use
// lives in an inline namespace of that name: otherwise the linker could keep the AVX-512 copy of a function for all.
#ifndef DERMATOME_ISA
#define DERMATOME_ISA baseline
#endif

// Vec: a register of floats of the instruction set that the file is compiled for, for kernels that a plain loop cannot
// express. Arithmetic is the compiler's own (+, -, *); only what it has no operator for is here.
#pragma once

#include <cstdint>

#include "kernels/launch/host_device.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace dermatome::launch {
inline namespace DERMATOME_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

using Vec = float __attribute__((vector_size(kLanes * sizeof(float))));
using UnalignedVec = float __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

DERMATOME_HD Vec load(const float* from) {
  return *reinterpret_cast<const UnalignedVec*>(from);
}
DERMATOME_HD void store(float* to, Vec x) {
  *reinterpret_cast<UnalignedVec*>(to) = x;
}
DERMATOME_HD Vec broadcast(float x) {
  return x - Vec{};
}

// a * b + c, in one rounding where the instruction set has it.
DERMATOME_HD Vec multiply_add(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

// from[0], from[stride], from[2 * stride] ...
DERMATOME_HD Vec gather(const float* from, std::int64_t stride) {
  Vec x;
  for (int lane = 0; lane < kLanes; ++lane) x[lane] = from[lane * stride];
  return x;
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::launch

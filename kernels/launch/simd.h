// Vec: a register of floats of the instruction set that the file is compiled for, for kernels that a plain loop cannot
// express. Arithmetic is the compiler's own (+, -, *); only what it has no operator for is here.
#pragma once

#include <cstdint>

#include "kernels/launch/element_types.h"
#include "kernels/launch/host_device.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace dermatome::launch {
inline namespace DERMATOME_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
constexpr __mmask16 kAllLanes = 0xffff;  // GCC 12 takes what an unmasked conversion leaves undefined for read
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

using VecBits = std::uint32_t __attribute__((vector_size(kLanes * sizeof(std::uint32_t))));
using VecHalves = std::uint16_t __attribute__((vector_size(kLanes * sizeof(std::uint16_t))));
using UnalignedHalves =
    std::uint16_t __attribute__((vector_size(kLanes * sizeof(std::uint16_t)), aligned(2), may_alias));

// As many numbers of 16 or 8 bits as lanes, each in the lower part of its own. In one instruction: of the compiler's
// own conversion GCC makes halves that it puts together again.
DERMATOME_HD VecBits load_bits(const Bfloat16* from) {
#if defined(__AVX512F__)
  return reinterpret_cast<VecBits>(
      _mm512_maskz_cvtepu16_epi32(kAllLanes, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
#elif defined(__AVX2__)
  return reinterpret_cast<VecBits>(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#else
  return __builtin_convertvector(*reinterpret_cast<const UnalignedHalves*>(from), VecBits);
#endif
}
DERMATOME_HD VecBits load_bits(const std::uint8_t* from) {
#if defined(__AVX512F__)
  return reinterpret_cast<VecBits>(
      _mm512_maskz_cvtepu8_epi32(kAllLanes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#elif defined(__AVX2__)
  return reinterpret_cast<VecBits>(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
#else
  using Bytes = std::uint8_t __attribute__((vector_size(kLanes), aligned(1), may_alias));
  return __builtin_convertvector(*reinterpret_cast<const Bytes*>(from), VecBits);
#endif
}

// bf16 in memory, float in the register.
DERMATOME_HD Vec load(const Bfloat16* from) {
  return reinterpret_cast<Vec>(load_bits(from) << 16);
}
// Rounded to bf16, to nearest, ties to even: the number's bits in the lower half of each lane.
DERMATOME_HD VecBits bf16_bits(Vec x) {
#if defined(__AVX512BF16__)
  return reinterpret_cast<VecBits>(
      _mm512_maskz_cvtepu16_epi32(kAllLanes, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x))));
#else
  const VecBits bits = reinterpret_cast<VecBits>(x);
  const VecBits rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const VecBits quiet = (bits >> 16) | 0x40u;
  const VecBits is_nan = reinterpret_cast<VecBits>(x != x);
  return (is_nan & quiet) | (~is_nan & rounded);
#endif
}
DERMATOME_HD void store(Bfloat16* to, Vec x) {
#if defined(__AVX512BF16__)
  const __m256bh halves = _mm512_cvtneps_pbh(x);
  __builtin_memcpy(to, &halves, sizeof halves);
#elif defined(__AVX512F__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_maskz_cvtepi32_epi16(kAllLanes, reinterpret_cast<__m512i>(bf16_bits(x))));
#else
  *reinterpret_cast<UnalignedHalves*>(to) = __builtin_convertvector(bf16_bits(x), VecHalves);
#endif
}

// Pairs of bf16 numbers, one pair a lane, the first in the lower half.
using UnalignedBits = std::uint32_t __attribute__((vector_size(kLanes * sizeof(std::uint32_t)), aligned(2), may_alias));

DERMATOME_HD VecBits load_pairs(const Bfloat16* from) {
  return *reinterpret_cast<const UnalignedBits*>(from);
}
DERMATOME_HD void store_pairs(Bfloat16* to, VecBits pairs) {
  *reinterpret_cast<UnalignedBits*>(to) = pairs;
}
// Pairs of numbers rounded to bf16.
DERMATOME_HD VecBits round_pairs(Vec first, Vec second) {
#if defined(__AVX512BF16__)
  using Halves = std::uint16_t __attribute__((vector_size(64)));
  constexpr Halves kSideBySide = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                  8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512bh both = _mm512_cvtne2ps_pbh(second, first);
  return reinterpret_cast<VecBits>(__builtin_shuffle(reinterpret_cast<Halves>(both), kSideBySide));
#else
  return bf16_bits(first) | bf16_bits(second) << 16;
#endif
}
DERMATOME_HD VecBits broadcast_pair(const Bfloat16* from) {
  std::uint32_t pair;
  __builtin_memcpy(&pair, from, sizeof pair);
  return pair + VecBits{};
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

// The products of both numbers of each pair, added to `sum`.
DERMATOME_HD Vec multiply_add_pairs(VecBits a, VecBits b, Vec sum) {
#if defined(__AVX512BF16__)
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
#else
  const Vec first = multiply_add(reinterpret_cast<Vec>(a << 16), reinterpret_cast<Vec>(b << 16), sum);
  return multiply_add(reinterpret_cast<Vec>(a & 0xffff0000u), reinterpret_cast<Vec>(b & 0xffff0000u), first);
#endif
}

// The first `count` lanes from memory, the others zero; reads nothing behind them.
DERMATOME_HD Vec load_first(const float* from, int count) {
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), from);
#else
  Vec x{};
  for (int lane = 0; lane < count; ++lane) x[lane] = from[lane];
  return x;
#endif
}

// Short runs of bf16 numbers, copied (or for a null `from` set to zero) a register at a time.
DERMATOME_HD void copy_short(Bfloat16* to, const Bfloat16* from, std::int64_t count) {
#if defined(__AVX512BW__)
  constexpr std::int64_t kAtOnce = 32;
  for (std::int64_t i = 0; i < count; i += kAtOnce) {
    const auto first = static_cast<__mmask32>(count - i < kAtOnce ? (1u << (count - i)) - 1u : ~0u);
    const __m512i numbers = from != nullptr ? _mm512_maskz_loadu_epi16(first, from + i) : _mm512_setzero_si512();
    _mm512_mask_storeu_epi16(to + i, first, numbers);
  }
#else
  for (std::int64_t i = 0; i < count; ++i) to[i] = from != nullptr ? from[i] : Bfloat16{};
#endif
}

// To memory past the caches, for whole lines that nobody reads soon: `to` is aligned as a vector is. Other threads may
// read what was written behind end_of_streams().
DERMATOME_HD void stream(float* to, Vec x) {
#if defined(__AVX512F__)
  _mm512_stream_ps(to, static_cast<__m512>(x));
#elif defined(__AVX2__)
  _mm256_stream_ps(to, static_cast<__m256>(x));
#else
  store(to, x);
#endif
}
DERMATOME_HD void end_of_streams() {
#if defined(__AVX2__)
  _mm_sfence();
#endif
}

// The first `count` lanes to memory; writes nothing behind them.
DERMATOME_HD void store_first(float* to, int count, Vec x) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1u), x);
#else
  for (int lane = 0; lane < count; ++lane) to[lane] = x[lane];
#endif
}

// max(x, 0); 0 for what is no number.
DERMATOME_HD Vec positive_part(Vec x) {
#if defined(__AVX512F__)
  return _mm512_maskz_max_ps(0xffff, x, Vec{});  // for the plain form GCC 12 warns of its own header
#elif defined(__AVX2__)
  return _mm256_max_ps(x, Vec{});
#else
  return x > Vec{} ? x : Vec{};
#endif
}

DERMATOME_HD float sum_of_lanes(Vec x) {
  float sum = 0;
  for (int lane = 0; lane < kLanes; ++lane) sum += x[lane];
  return sum;
}

using VecIndex = std::int32_t __attribute__((vector_size(kLanes * sizeof(std::int32_t))));

// Exchanges the blocks of `Distance` lanes that lie off the diagonal of each pair of rows, for all distances in turn.
template <int Distance>
DERMATOME_HD void transpose_blocks(Vec* rows) {
  VecIndex upper;
  VecIndex lower;
  for (int lane = 0; lane < kLanes; ++lane) {
    const bool first = (lane & Distance) == 0;
    upper[lane] = first ? lane : kLanes + lane - Distance;
    lower[lane] = first ? lane + Distance : kLanes + lane;
  }
#pragma GCC unroll 16
  for (int row = 0; row < kLanes; ++row) {
    if ((row & Distance) != 0) continue;
    const Vec a = rows[row];
    const Vec b = rows[row + Distance];
    rows[row] = __builtin_shuffle(a, b, upper);
    rows[row + Distance] = __builtin_shuffle(a, b, lower);
  }
  if constexpr (Distance > 1) transpose_blocks<Distance / 2>(rows);
}

// Of kLanes x kLanes floats.
DERMATOME_HD void transpose(Vec* rows) {
  transpose_blocks<kLanes / 2>(rows);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::launch

// bf16, the upper half of a binary32 number, and conversion between element types.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "engine/core/dtype.h"
#include "kernels/launch/host_device.h"

namespace dermatome::launch {

// One bf16 number in memory. No arithmetic: kernels compute in float.
struct Bfloat16 {
  std::uint16_t bits;
};

inline namespace DERMATOME_ISA {

DERMATOME_HD std::uint32_t bits_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

DERMATOME_HD float float_of(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

DERMATOME_HD float widen(Bfloat16 x) {
  return float_of(static_cast<std::uint32_t>(x.bits) << 16);
}

// To nearest, ties to even. A NaN stays a NaN with its sign: rounding its bits could make it an infinity.
DERMATOME_HD Bfloat16 round_bits_to_bf16(std::uint32_t bits) {
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t quiet = (bits >> 16) | 0x40u;
  return {static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded)};
}

DERMATOME_HD Bfloat16 to_bf16(float x) {
  return round_bits_to_bf16(bits_of(x));
}

// A double that is rounded to float first may land on a tie of bf16 which it is not: then one step back towards it.
DERMATOME_HD Bfloat16 to_bf16(double x) {
  const float nearest = static_cast<float>(x);
  std::uint32_t bits = bits_of(nearest);
  const double back = static_cast<double>(nearest);
  if ((bits & 0xffffu) == 0x8000u && back != x && x == x) {
    const bool too_large = back > 0 ? back > x : back < x;
    bits = too_large ? bits - 1 : bits + 1;
  }
  return round_bits_to_bf16(bits);
}

// Elements in memory and as kernels compute with them: bf16 is widened to float on loading and rounded on storing, so
// that one functor serves both types.
DERMATOME_HD float load(float x) {
  return x;
}
DERMATOME_HD float load(Bfloat16 x) {
  return widen(x);
}

template <typename T>
DERMATOME_HD T store(float x) {
  if constexpr (std::is_same_v<T, Bfloat16>) {
    return to_bf16(x);
  } else {
    return x;
  }
}

template <typename To, typename From>
DERMATOME_HD To convert(From x) {
  if constexpr (std::is_same_v<From, Bfloat16>) {
    if constexpr (std::is_same_v<To, Bfloat16>) {
      return x;
    } else {
      return static_cast<To>(widen(x));
    }
  } else if constexpr (std::is_same_v<To, Bfloat16>) {
    if constexpr (std::is_same_v<From, float>) {
      return to_bf16(x);
    } else {
      return to_bf16(static_cast<double>(x));
    }
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::launch

// Exponential and logarithm in the range that losses need. In float they are our own: plain arithmetic that a loop over
// pixels can hold in vectors, with the same bits whatever the C library. In double, the C functions.
#pragma once

#include <math.h>

#include "kernels/launch/element_types.h"
#include "kernels/launch/host_device.h"

namespace dermatome::launch {
inline namespace DERMATOME_ISA {

// e^x for x <= 0, within 2 units in the last place; below -87, where floats end, e^-87.
DERMATOME_HD float exponential(float x) {
  constexpr float kLeast = -87.0f;
  constexpr float kLog2E = 1.44269504f;
  constexpr float kLn2 = 0.693359375f;  // its first bits, so that whole multiples are exact
  constexpr float kLn2Rest = -2.12194440e-4f;
  constexpr float kRounding = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded to a whole number
  const float in_range = x < kLeast ? kLeast : x;
  const float shifted = in_range * kLog2E + kRounding;
  const float whole = shifted - kRounding;
  const float rest = (in_range - whole * kLn2) - whole * kLn2Rest;
  // e^rest = 1 + rest + rest^2 p(rest) for |rest| <= ln 2 / 2; the coefficients are Cephes's (Moshier, expf).
  float p = 1.9875691500e-4f;
  p = p * rest + 1.3981999507e-3f;
  p = p * rest + 8.3334519073e-3f;
  p = p * rest + 4.1665795894e-2f;
  p = p * rest + 1.6666665459e-1f;
  p = p * rest + 5.0000001201e-1f;
  const float fraction = p * rest * rest + rest + 1.0f;
  // The low bits of `shifted` are the exponent.
  return fraction * float_of((bits_of(shifted) << 23) + 0x3f800000u);
}
DERMATOME_HD double exponential(double x) {
  return ::exp(x);
}

// log(1 + x) for x in [0, 1], within 2 units in the last place: 2 artanh(x / (2 + x)) as a series.
DERMATOME_HD float log_of_one_plus(float x) {
  const float s = x / (2.0f + x);  // at most 1/3
  const float square = s * s;
  float p = 2.0f / 15.0f;
  p = p * square + 2.0f / 13.0f;
  p = p * square + 2.0f / 11.0f;
  p = p * square + 2.0f / 9.0f;
  p = p * square + 2.0f / 7.0f;
  p = p * square + 2.0f / 5.0f;
  p = p * square + 2.0f / 3.0f;
  return p * square * s + 2.0f * s;
}
DERMATOME_HD double log_of_one_plus(double x) {
  return ::log1p(x);
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::launch

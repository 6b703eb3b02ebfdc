// Augmentation, the arithmetic: warp by an affine table with reflected borders, then lighting and normalisation.
#pragma once

#include "kernels/launch/host_device.h"

namespace dermatome::augment {
inline namespace DERMATOME_ISA {

// Attributes of augment in the order of its signature.
enum { kReflectMask, kMean, kDeviation = kMean + 3 };
// A table: sx = t[0]*x + t[1]*y + t[2], sy = t[3]*x + t[4]*y + t[5]; brightness t[6], contrast factor t[7].
constexpr int kTableSize = 8;
enum { kBrightness = 6, kContrast = 7 };

// The border is reflected with the edge pixel repeated (dcba|abcd|dcba), for any distance.
DERMATOME_HD long long reflect(long long i, long long size) {
  if (i >= 0 && i < size) return i;  // nearly always: a division is slow
  const long long period = 2 * size;
  i %= period;
  if (i < 0) i += period;
  return i < size ? i : period - 1 - i;
}

DERMATOME_HD long long floor_of(double x) {
  const auto whole = static_cast<long long>(x);
  return whole - (static_cast<double>(whole) > x ? 1 : 0);
}

template <typename T>
struct Point {
  T x, y;
};

template <typename T>
DERMATOME_HD Point<T> source_of(const T* table, T x, T y) {
  return {table[0] * x + table[1] * y + table[2], table[3] * x + table[4] * y + table[5]};
}

// Four pixels and their weights.
template <typename T>
struct Bilinear {
  long long x0, x1, y0, y1;
  T fx, fy;
};

template <typename T>
DERMATOME_HD Bilinear<T> bilinear(Point<T> p, long long width, long long height) {
  const long long x = floor_of(static_cast<double>(p.x));
  const long long y = floor_of(static_cast<double>(p.y));
  return {reflect(x, width),      reflect(x + 1, width),   reflect(y, height),
          reflect(y + 1, height), p.x - static_cast<T>(x), p.y - static_cast<T>(y)};
}

template <typename T>
DERMATOME_HD T interpolate(const Bilinear<T>& b, T top_left, T top_right, T bottom_left, T bottom_right) {
  const T top = top_left + b.fx * (top_right - top_left);
  const T bottom = bottom_left + b.fx * (bottom_right - bottom_left);
  return top + b.fy * (bottom - top);
}

// The mask's nearest pixel; outside, the reflected one, or background.
template <typename T>
DERMATOME_HD T mask_at(const unsigned char* mask, Point<T> p, long long width, long long height, bool reflected) {
  const long long x = floor_of(static_cast<double>(p.x) + 0.5);
  const long long y = floor_of(static_cast<double>(p.y) + 0.5);
  const bool inside = x >= 0 && x < width && y >= 0 && y < height;
  if (!inside && !reflected) return T(0);
  return mask[reflect(y, height) * width + reflect(x, width)] > 127 ? T(1) : T(0);
}

// x in [0, 1]: contrast about the image's mean, brightness, clipped.
template <typename T>
DERMATOME_HD T light(T x, T mean, T brightness, T contrast) {
  const T lit = (x - mean) * contrast + mean + brightness;
  return lit < T(0) ? T(0) : lit > T(1) ? T(1) : lit;
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::augment

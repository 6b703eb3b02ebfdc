// Winograd's minimal filtering F(4x4, 3x3), the transforms (Winograd 1980; Lavin & Gray 2015, arXiv 1509.09308): 36
// multiplications instead of 144 for a tile of 4 x 4 outputs. Interpolation at 0, +-5/8, +-3/2 and infinity, whose
// rounding errors are smaller than those of 0, +-1, +-2. One Vec holds one element of the tile for as many channels as
// it has lanes.
#pragma once

#include "kernels/launch/simd.h"

namespace dermatome::winograd {
inline namespace DERMATOME_ISA {

using launch::Vec;

constexpr int kOutput = 4;  // side of a tile of outputs
constexpr int kInput = 6;   // side of the inputs it reads
constexpr int kPoints = kInput * kInput;

constexpr float kA = 0.625f;
constexpr float kB = 1.5f;
constexpr float kA2 = kA * kA;
constexpr float kB2 = kB * kB;
// The products of a point's distances to the other finite points; they scale the kernel's transform.
constexpr float kNorm0 = kA2 * kB2;
constexpr float kNormA = 2 * kA2 * (kA2 - kB2);
constexpr float kNormB = 2 * kB2 * (kB2 - kA2);

// k * x + y
DERMATOME_HD Vec scaled(float k, Vec x, Vec y) {
  return launch::multiply_add(launch::broadcast(k), x, y);
}

// B^T d: the values at the points of what six inputs interpolate. All transforms read every `stride`-th element.
DERMATOME_HD void transform_input(const Vec* d, int stride, Vec* v, int v_stride) {
  const Vec d1 = d[stride], d2 = d[2 * stride], d3 = d[3 * stride], d4 = d[4 * stride];
  const Vec even_a = scaled(-kB2, d2, d4);
  const Vec odd_a = scaled(-kB2, d1, d3);
  const Vec even_b = scaled(-kA2, d2, d4);
  const Vec odd_b = scaled(-kA2, d1, d3);
  v[0] = scaled(kNorm0, d[0], scaled(-kA2, d2, even_a));
  v[v_stride] = scaled(kA, odd_a, even_a);
  v[2 * v_stride] = scaled(-kA, odd_a, even_a);
  v[3 * v_stride] = scaled(kB, odd_b, even_b);
  v[4 * v_stride] = scaled(-kB, odd_b, even_b);
  v[5 * v_stride] = scaled(-kB2, odd_b, scaled(-kA2, d3, d[5 * stride]));
}

// G g: three taps at the points.
DERMATOME_HD void transform_kernel(const Vec* g, int stride, Vec* u, int u_stride) {
  const Vec g0 = g[0], g1 = g[stride], g2 = g[2 * stride];
  const Vec even_a = scaled(kA2, g2, g0) * (1 / kNormA);
  const Vec even_b = scaled(kB2, g2, g0) * (1 / kNormB);
  u[0] = g0 * (1 / kNorm0);
  u[u_stride] = scaled(kA / kNormA, g1, even_a);
  u[2 * u_stride] = scaled(-kA / kNormA, g1, even_a);
  u[3 * u_stride] = scaled(kB / kNormB, g1, even_b);
  u[4 * u_stride] = scaled(-kB / kNormB, g1, even_b);
  u[5 * u_stride] = g2;
}

// A^T m: four outputs from the products at the points.
DERMATOME_HD void transform_output(const Vec* m, int stride, Vec* y, int y_stride) {
  const Vec sum_a = m[stride] + m[2 * stride];
  const Vec difference_a = m[stride] - m[2 * stride];
  const Vec sum_b = m[3 * stride] + m[4 * stride];
  const Vec difference_b = m[3 * stride] - m[4 * stride];
  y[0] = m[0] + sum_a + sum_b;
  y[y_stride] = scaled(kA, difference_a, kB * difference_b);
  y[2 * y_stride] = scaled(kA2, sum_a, kB2 * sum_b);
  y[3 * y_stride] = scaled(kA * kA2, difference_a, scaled(kB * kB2, difference_b, m[5 * stride]));
}

// A dy: the adjoint of transform_output.
DERMATOME_HD void transform_output_gradient(const Vec* dy, int stride, Vec* dm, int dm_stride) {
  const Vec y0 = dy[0], y1 = dy[stride], y2 = dy[2 * stride], y3 = dy[3 * stride];
  const Vec even_a = scaled(kA2, y2, y0);
  const Vec odd_a = scaled(kA2, y3, y1);
  const Vec even_b = scaled(kB2, y2, y0);
  const Vec odd_b = scaled(kB2, y3, y1);
  dm[0] = y0;
  dm[dm_stride] = scaled(kA, odd_a, even_a);
  dm[2 * dm_stride] = scaled(-kA, odd_a, even_a);
  dm[3 * dm_stride] = scaled(kB, odd_b, even_b);
  dm[4 * dm_stride] = scaled(-kB, odd_b, even_b);
  dm[5 * dm_stride] = y3;
}

// G^T du: the adjoint of transform_kernel.
DERMATOME_HD void transform_kernel_gradient(const Vec* du, int stride, Vec* dg, int dg_stride) {
  const Vec sum_a = (du[stride] + du[2 * stride]) * (1 / kNormA);
  const Vec difference_a = du[stride] - du[2 * stride];
  const Vec sum_b = (du[3 * stride] + du[4 * stride]) * (1 / kNormB);
  const Vec difference_b = du[3 * stride] - du[4 * stride];
  dg[0] = scaled(1 / kNorm0, du[0], sum_a + sum_b);
  dg[dg_stride] = scaled(kA / kNormA, difference_a, (kB / kNormB) * difference_b);
  dg[2 * dg_stride] = scaled(kA2, sum_a, scaled(kB2, sum_b, du[5 * stride]));
}

}  // namespace DERMATOME_ISA
}  // namespace dermatome::winograd

// conv2d and its gradients, the specification: seven nested loops, sums in the tensor's own type.
#include "kernels/conv2d/geometry.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

// f(n, oy, ox, o, y, x, i, ky, kx) for every product of the convolution.
template <typename F>
void for_each_product(const conv2d::Geometry& g, const F& f) {
  for (std::int64_t n = 0; n < g.n; ++n)
    for (std::int64_t oy = 0; oy < g.out_height; ++oy)
      for (std::int64_t ox = 0; ox < g.out_width; ++ox)
        for (std::int64_t ky = 0; ky < g.kernel; ++ky)
          for (std::int64_t kx = 0; kx < g.kernel; ++kx) {
            const std::int64_t y = oy * g.stride - g.pad + ky;
            const std::int64_t x = ox * g.stride - g.pad + kx;
            if (y < 0 || y >= g.height || x < 0 || x >= g.width) continue;
            const std::int64_t from = ((n * g.height + y) * g.width + x) * g.in;
            const std::int64_t to = ((n * g.out_height + oy) * g.out_width + ox) * g.out;
            for (std::int64_t o = 0; o < g.out; ++o)
              for (std::int64_t i = 0; i < g.in; ++i) f(from + i, to + o, ((o * g.in + i) * g.kernel + ky) * g.kernel + kx);
          }
}

template <typename T>
void forward(const Call& call) {
  const auto g = conv2d::forward_geometry(call);
  const T* x = launch::in<T>(call, 0);
  const T* weight = launch::in<T>(call, 1);
  const T* bias = call.input_count > 2 ? launch::in<T>(call, 2) : nullptr;
  T* y = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) y[i] = bias != nullptr ? bias[i % g.out] : T(0);
  for_each_product(g, [&](std::int64_t from, std::int64_t to, std::int64_t w) { y[to] += x[from] * weight[w]; });
}

template <typename T>
void data_gradient(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  const T* weight = launch::in<T>(call, 1);
  T* dx = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) dx[i] = 0;
  for_each_product(conv2d::data_gradient_geometry(call),
                   [&](std::int64_t from, std::int64_t to, std::int64_t w) { dx[from] += dy[to] * weight[w]; });
}

template <typename T>
void weight_gradient(const Call& call) {
  const auto g = conv2d::weight_gradient_geometry(call);
  const T* x = launch::in<T>(call, 0);
  const T* dy = launch::in<T>(call, 1);
  if (T* dweight = launch::out<T>(call, 0); dweight != nullptr) {
    for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) dweight[i] = 0;
    for_each_product(g, [&](std::int64_t from, std::int64_t to, std::int64_t w) { dweight[w] += x[from] * dy[to]; });
  }
  if (T* dbias = launch::out<T>(call, 1); dbias != nullptr) {
    for (std::int64_t o = 0; o < g.out; ++o) dbias[o] = 0;
    for (std::int64_t i = 0; i < call.inputs[1].elements; ++i) dbias[i % g.out] += dy[i];
  }
}

DERMATOME_REFERENCE({"conv2d", DType::f32, forward<float>}, {"conv2d", DType::f64, forward<double>},
                    {"conv2d_data_gradient", DType::f32, data_gradient<float>},
                    {"conv2d_data_gradient", DType::f64, data_gradient<double>},
                    {"conv2d_weight_gradient", DType::f32, weight_gradient<float>},
                    {"conv2d_weight_gradient", DType::f64, weight_gradient<double>});

}  // namespace
}  // namespace dermatome

// max_pool and max_pool_gradient, the specification. The gradient scatters where the other devices gather.
#include <cmath>

#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"
#include "kernels/max_pool/math.h"

namespace dermatome {
namespace {

using launch::Index;

// Calls f(input element, output element, tap) for every tap of every window that lies on the input, in window order.
template <typename F>
void for_each_tap(const Operand& x, const Operand& y, const Call& call, const F& f) {
  const Index kernel = launch::integer(call, max_pool::kKernel);
  const Index stride = launch::integer(call, max_pool::kStride);
  const Index pad = launch::integer(call, max_pool::kPad);
  const Index height = x.extent[1], width = x.extent[2], channels = x.extent[3];
  for (Index n = 0; n < y.extent[0]; ++n) {
    for (Index oh = 0; oh < y.extent[1]; ++oh) {
      for (Index ow = 0; ow < y.extent[2]; ++ow) {
        for (Index tap = 0; tap < kernel * kernel; ++tap) {
          const Index h = oh * stride - pad + tap / kernel;
          const Index w = ow * stride - pad + tap % kernel;
          if (h < 0 || h >= height || w < 0 || w >= width) continue;
          for (Index c = 0; c < channels; ++c) {
            f(((n * height + h) * width + w) * channels + c, ((n * y.extent[1] + oh) * y.extent[2] + ow) * channels + c,
              tap);
          }
        }
      }
    }
  }
}

template <typename T>
void forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  std::uint8_t* index = launch::out<std::uint8_t>(call, 1);
  const std::int64_t elements = call.outputs[0].elements;
  std::vector<T> largest(static_cast<std::size_t>(elements));
  std::vector<int> taken(static_cast<std::size_t>(elements), -1);
  for_each_tap(call.inputs[0], call.outputs[0], call, [&](Index i, Index o, Index tap) {
    const auto at = static_cast<std::size_t>(o);
    if (taken[at] >= 0 && !(x[i] > largest[at]) && !std::isnan(x[i])) return;
    largest[at] = x[i];
    taken[at] = static_cast<int>(tap);
  });
  for (std::int64_t o = 0; o < elements; ++o) {
    if (y != nullptr) y[o] = largest[static_cast<std::size_t>(o)];
    if (index != nullptr) index[o] = static_cast<std::uint8_t>(taken[static_cast<std::size_t>(o)]);
  }
}

template <typename T>
void backward(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  const std::uint8_t* index = launch::in<std::uint8_t>(call, 1);
  T* dx = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) dx[i] = 0;
  for_each_tap(call.outputs[0], call.inputs[0], call, [&](Index i, Index o, Index tap) {
    if (index[o] == tap) dx[i] += dy[o];
  });
}

DERMATOME_REFERENCE({"max_pool", DType::f32, forward<float>}, {"max_pool", DType::f64, forward<double>},
                    {"max_pool_gradient", DType::f32, backward<float>},
                    {"max_pool_gradient", DType::f64, backward<double>});

}  // namespace
}  // namespace dermatome

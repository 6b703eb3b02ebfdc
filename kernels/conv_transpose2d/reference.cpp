// conv_transpose2d, the specification: every input pixel is stamped onto the output.
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

template <typename T>
void forward(const Call& call) {
  const Operand& x = call.inputs[0];
  const Operand& y = call.outputs[0];
  const auto kernel = call.attributes[1].integer;
  const auto stride = call.attributes[2].integer;
  const auto pad = call.attributes[3].integer;
  const auto in = x.extent[3];
  const auto out = y.extent[3];
  const T* weight = launch::in<T>(call, 1);
  const T* bias = call.input_count > 2 ? launch::in<T>(call, 2) : nullptr;
  const T* from = launch::in<T>(call, 0);
  T* to = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < y.elements; ++i) to[i] = bias != nullptr ? bias[i % out] : T(0);
  for (std::int64_t n = 0; n < x.extent[0]; ++n)
    for (std::int64_t h = 0; h < x.extent[1]; ++h)
      for (std::int64_t w = 0; w < x.extent[2]; ++w)
        for (std::int64_t ky = 0; ky < kernel; ++ky)
          for (std::int64_t kx = 0; kx < kernel; ++kx) {
            const auto oy = h * stride - pad + ky;
            const auto ox = w * stride - pad + kx;
            if (oy < 0 || oy >= y.extent[1] || ox < 0 || ox >= y.extent[2]) continue;
            const T* pixel = from + ((n * x.extent[1] + h) * x.extent[2] + w) * in;
            T* stamp = to + ((n * y.extent[1] + oy) * y.extent[2] + ox) * out;
            for (std::int64_t i = 0; i < in; ++i)
              for (std::int64_t o = 0; o < out; ++o)
                stamp[o] += pixel[i] * weight[((i * out + o) * kernel + ky) * kernel + kx];
          }
}

DERMATOME_REFERENCE({"conv_transpose2d", DType::f32, forward<float>},
                    {"conv_transpose2d", DType::f64, forward<double>});

}  // namespace
}  // namespace dermatome

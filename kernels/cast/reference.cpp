// cast, the specification. Every number passes through double, which holds each type exactly.
#include <algorithm>
#include <cmath>

#include "kernels/cast/math.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

double load(const Operand& x, std::int64_t i) {
  switch (x.type) {
    case DType::f32: return static_cast<const float*>(x.data)[i];
    case DType::bf16:
      return cast::float_of(static_cast<std::uint32_t>(static_cast<const std::uint16_t*>(x.data)[i]) << 16);
    case DType::f64: return static_cast<const double*>(x.data)[i];
    case DType::u8: return static_cast<const std::uint8_t*>(x.data)[i];
    case DType::i32: return static_cast<const std::int32_t*>(x.data)[i];
  }
  return 0;
}

// The nearest number with 8 significant bits, or with fewer below 2^-126, whose last place is 2^-133.
std::uint16_t nearest_bf16(double x) {
  if (std::isfinite(x) && x != 0) {
    int exponent = 0;
    std::frexp(x, &exponent);
    const int last_place = std::max(exponent - 8, -133);
    x = std::ldexp(std::nearbyint(std::ldexp(x, -last_place)), last_place);
  }
  return static_cast<std::uint16_t>(cast::bits_of(static_cast<float>(x)) >> 16);
}

template <typename T>
void run(const Call& call) {
  T* y = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) {
    const double value = load(call.inputs[0], i);
    if constexpr (std::is_same_v<T, std::uint16_t>) {
      y[i] = nearest_bf16(value);
    } else {
      y[i] = static_cast<T>(value);
    }
  }
}

DERMATOME_REFERENCE({"cast", DType::f32, run<float>, nullptr, nullptr, true},
                    {"cast", DType::bf16, run<std::uint16_t>, nullptr, nullptr, true},
                    {"cast", DType::f64, run<double>, nullptr, nullptr, true});

}  // namespace
}  // namespace dermatome

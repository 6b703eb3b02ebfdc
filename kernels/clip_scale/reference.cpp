// clip_scale, the specification.
#include <cmath>

#include "kernels/clip_scale/math.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

template <typename T>
void run(const Call& call) {
  T sum = 0;
  for (int p = 0; p < call.input_count; ++p) {
    const T* x = launch::in<T>(call, p);
    for (std::int64_t i = 0; i < call.inputs[p].elements; ++i) sum += x[i] * x[i];
  }
  launch::out<T>(call, 0)[0] =
      clip_scale::scale_of(std::sqrt(sum), static_cast<T>(launch::real(call, clip_scale::kMaxNorm)));
}

DERMATOME_REFERENCE({"clip_scale", DType::f32, run<float>}, {"clip_scale", DType::f64, run<double>});

}  // namespace
}  // namespace dermatome

// scale, the specification.
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"
#include "kernels/scale/math.h"

namespace dermatome {
namespace {

template <typename T>
void run(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  const T factor = static_cast<T>(launch::real(call, scale::kFactor));
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) y[i] = factor * x[i];
}

DERMATOME_REFERENCE({"scale", DType::f32, run<float>}, {"scale", DType::f64, run<double>});

}  // namespace
}  // namespace dermatome

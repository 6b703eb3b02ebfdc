// add_relu, the specification.
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

template <typename T>
void run(const Call& call) {
  const T* a = launch::in<T>(call, 0);
  const T* b = launch::in<T>(call, 1);
  T* y = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i) y[i] = a[i] + b[i] > 0 ? a[i] + b[i] : 0;
}

DERMATOME_REFERENCE({"add_relu", DType::f32, run<float>}, {"add_relu", DType::f64, run<double>});

}  // namespace
}  // namespace dermatome

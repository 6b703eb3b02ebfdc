// fill, the specification.
#include "kernels/fill/math.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

template <typename T>
void run(const Call& call) {
  T* y = launch::out<T>(call, 0);
  for (std::int64_t i = 0; i < call.outputs[0].elements; ++i)
    y[i] = fill::constant<T>(launch::real(call, fill::kValue));
}

DERMATOME_REFERENCE({"fill", DType::f32, run<float>}, {"fill", DType::bf16, run<launch::Bfloat16>},
                    {"fill", DType::f64, run<double>}, {"fill", DType::u8, run<std::uint8_t>},
                    {"fill", DType::i32, run<std::int32_t>});

}  // namespace
}  // namespace dermatome

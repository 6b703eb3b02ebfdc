// fill on the CPU.
#include "kernels/launch/cpu.h"
#include "kernels/fill/math.h"
#include "kernels/launch/table.h"

namespace dermatome::fill {
namespace {

template <typename T>
void run(const Call& call) {
  T* y = launch::out<T>(call, 0);
  const T value = constant<T>(launch::real(call, kValue));
  launch::for_each(call.outputs[0].elements, [=](std::int64_t i) { y[i] = value; });
}

}  // namespace
}  // namespace dermatome::fill

DERMATOME_CPU_TABLE(fill, {"fill", DType::f32, fill::run<float>}, {"fill", DType::bf16, fill::run<launch::Bfloat16>},
                    {"fill", DType::f64, fill::run<double>}, {"fill", DType::u8, fill::run<std::uint8_t>},
                    {"fill", DType::i32, fill::run<std::int32_t>})

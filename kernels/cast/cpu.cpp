// cast on the CPU: looked up by the output's type, the input's is told apart at run time.
#include "kernels/launch/cpu.h"
#include "kernels/cast/math.h"
#include "kernels/launch/table.h"

namespace dermatome::cast {
namespace {

template <typename To, typename From>
void convert_all(const Call& call) {
  const From* x = launch::in<From>(call, 0);
  To* y = launch::out<To>(call, 0);
  launch::for_each(call.outputs[0].elements, [=](std::int64_t i) { y[i] = convert<To>(x[i]); });
}

template <typename To>
void run(const Call& call) {
  switch (call.inputs[0].type) {
    case DType::f32: return convert_all<To, float>(call);
    case DType::bf16: return convert_all<To, Bfloat16>(call);
    case DType::f64: return convert_all<To, double>(call);
    case DType::u8: return convert_all<To, std::uint8_t>(call);
    case DType::i32: return convert_all<To, std::int32_t>(call);
  }
}

}  // namespace
}  // namespace dermatome::cast

DERMATOME_CPU_TABLE(cast, {"cast", DType::f32, cast::run<float>, nullptr, nullptr, true},
                    {"cast", DType::bf16, cast::run<cast::Bfloat16>, nullptr, nullptr, true},
                    {"cast", DType::f64, cast::run<double>, nullptr, nullptr, true})

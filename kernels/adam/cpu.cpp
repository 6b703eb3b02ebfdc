// adam on the CPU: one pass over weight, moments and gradient.
#include <math.h>

#include "kernels/adam/math.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/table.h"

namespace dermatome::adam {
namespace {

// `rows` of the first extent at a time, each block told of by the thread that has updated it.
template <typename UpdateElement, typename Tell>
void update_in_blocks(const Operand& tensor, std::int64_t rows, const UpdateElement& update_element, const Tell& tell) {
  const std::int64_t all_rows = tensor.extent[0];
  const std::int64_t of_row = tensor.elements / all_rows;
  launch::for_each_row((all_rows + rows - 1) / rows, rows * of_row, [=](std::int64_t block) {
    const std::int64_t first = block * rows;
    const std::int64_t count = all_rows - first < rows ? all_rows - first : rows;
#pragma omp simd
    for (std::int64_t i = first * of_row; i < (first + count) * of_row; ++i) update_element(i);
    tell(first, count);
  });
}

void run(const Call& call) {
  const auto beta1 = static_cast<double>(launch::in<float>(call, kBeta1)[0]);
  const double beta2 = launch::real(call, kBeta2);
  const float* steps = launch::in<float>(call, kStep);
  const float* rates = launch::in<float>(call, kRates);
  const float* scale = launch::in<float>(call, kGradientScale);
  const auto* groups = launch::in<std::int32_t>(call, kGroups);
  const int parameters = (call.input_count - kFirstParameter) / kInputsEach;
  for (int p = 0; p < parameters; ++p) {
    const int in = kFirstParameter + p * kInputsEach;
    const int out = p * kOutputsEach;
    const auto t = static_cast<double>(steps[groups[p]]);
    const Step<float> step{
        .beta1 = static_cast<float>(beta1),
        .beta2 = static_cast<float>(beta2),
        .epsilon = static_cast<float>(launch::real(call, kEpsilon)),
        .weight_decay = static_cast<float>(launch::real(call, kWeightDecay)),
        .rate_corrected = static_cast<float>(static_cast<double>(rates[groups[p]]) / (1.0 - pow(beta1, t))),
        .inverse_sqrt_second = static_cast<float>(1.0 / sqrt(1.0 - pow(beta2, t))),
        .gradient_scale = scale == nullptr ? 1.0f : scale[0]};
    const float* weight = launch::in<float>(call, in + kWeight);
    const float* first = launch::in<float>(call, in + kFirstMoment);
    const float* second = launch::in<float>(call, in + kSecondMoment);
    const float* gradient = launch::in<float>(call, in + kGradient);
    float* new_weight = launch::out<float>(call, out + kWeight);
    float* new_first = launch::out<float>(call, out + kFirstMoment);
    float* new_second = launch::out<float>(call, out + kSecondMoment);
    const auto update_element = [=](std::int64_t i) {
      const Element<float> e = update(step, Element<float>{weight[i], first[i], second[i]}, gradient[i],
                                      [](float x) { return __builtin_sqrtf(x); });
      if (new_weight != nullptr) new_weight[i] = e.weight;
      if (new_first != nullptr) new_first[i] = e.first;
      if (new_second != nullptr) new_second[i] = e.second;
    };
    const Operand& tensor = call.inputs[in];
    const WriteListener* listener = call.listener;
    const std::int64_t rows = listener != nullptr ? listener->rows_at_a_time(listener->context, out + kWeight) : 0;
    if (rows == 0) {
      launch::for_each(tensor.elements, update_element);
    } else {
      update_in_blocks(tensor, rows, update_element, [=](std::int64_t from, std::int64_t count) {
        listener->wrote_rows(listener->context, out + kWeight, from, count);
      });
    }
    if (listener != nullptr) listener->wrote_all(listener->context, out + kWeight);
  }
}

}  // namespace
}  // namespace dermatome::adam

DERMATOME_CPU_TABLE(adam, {.op = "adam", .type = DType::f32, .run = adam::run, .copy_duty = CopyDuty::tells})

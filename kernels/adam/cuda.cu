// adam on CUDA: what is the same for all elements of a parameter is computed once on the device, from the tensors that
// hold step and rates; then one kernel goes over all parameters and writes the copies that convolutions read.
#include <math.h>

#include "kernels/adam/math.h"
#include "kernels/launch/cuda_segments.cuh"

namespace dermatome::adam {
namespace {

using launch::cuda::Index;

// One parameter's arrays; null for an output that nobody uses.
struct Parameter {
  const float *weight, *first, *second, *gradient;
  float *new_weight, *new_first, *new_second;
  const Step<float>* step;
  Index elements;
  launch::cuda::ChannelsLast copy;
};

int parameters_of(const Call& call) {
  return (call.input_count - kFirstParameter) / kInputsEach;
}

std::int64_t workspace(const Call& call) {
  return parameters_of(call) * static_cast<Index>(sizeof(Step<float>));
}

void compute_steps(const Call& call, Step<float>* steps) {
  const float* t = launch::in<float>(call, kStep);
  const float* beta1 = launch::in<float>(call, kBeta1);
  const float* rates = launch::in<float>(call, kRates);
  const float* scale = launch::in<float>(call, kGradientScale);
  const auto* groups = launch::in<std::int32_t>(call, kGroups);
  const double beta2 = launch::real(call, kBeta2);
  const auto epsilon = static_cast<float>(launch::real(call, kEpsilon));
  const auto weight_decay = static_cast<float>(launch::real(call, kWeightDecay));
  launch::cuda::for_each(
      call, parameters_of(call), DERMATOME_LAMBDA(Index p) {
        const auto number = static_cast<double>(t[groups[p]]);
        const double first = ::pow(static_cast<double>(beta1[0]), number);
        const double second = ::pow(beta2, number);
        steps[p] = {beta1[0],
                    static_cast<float>(beta2),
                    epsilon,
                    weight_decay,
                    static_cast<float>(static_cast<double>(rates[groups[p]]) / (1.0 - first)),
                    static_cast<float>(1.0 / ::sqrt(1.0 - second)),
                    scale == nullptr ? 1.0f : scale[0]};
      });
}

launch::cuda::ChannelsLast copy_of(const Call& call, int output) {
  if (call.listener == nullptr) return {};
  const ChannelsLastCopy copy = call.listener->channels_last(call.listener->context, output);
  const Operand& weight = call.outputs[output];
  if (copy.data == nullptr) return {};
  const std::int64_t in = weight.extent[1];
  return {copy.data, copy.type, static_cast<int>(in), static_cast<int>(weight.elements / (weight.extent[0] * in))};
}

void move(const Call& call, const launch::cuda::Segments<Parameter>& parameters) {
  launch::cuda::for_each_segment_and_copy(
      call, parameters, DERMATOME_LAMBDA(const Parameter& p, Index i) {
        const Element<float> e = update(*p.step, Element<float>{p.weight[i], p.first[i], p.second[i]}, p.gradient[i],
                                        [](float x) { return ::sqrtf(x); });
        if (p.new_weight != nullptr) p.new_weight[i] = e.weight;
        if (p.new_first != nullptr) p.new_first[i] = e.first;
        if (p.new_second != nullptr) p.new_second[i] = e.second;
        return e.weight;
      });
}

void run(const Call& call) {
  auto* steps = static_cast<Step<float>*>(call.workspace);
  compute_steps(call, steps);
  launch::cuda::Segments<Parameter> parameters;
  for (int p = 0; p < parameters_of(call); ++p) {
    const int in = kFirstParameter + p * kInputsEach;
    const int out = p * kOutputsEach;
    const launch::cuda::ChannelsLast copy = copy_of(call, out + kWeight);
    parameters.add({launch::in<float>(call, in + kWeight), launch::in<float>(call, in + kFirstMoment),
                    launch::in<float>(call, in + kSecondMoment), launch::in<float>(call, in + kGradient),
                    launch::out<float>(call, out + kWeight), launch::out<float>(call, out + kFirstMoment),
                    launch::out<float>(call, out + kSecondMoment), steps + p, call.inputs[in].elements, copy},
                   copy.elements_of_block());
    if (parameters.count < launch::cuda::kMostSegments && p + 1 < parameters_of(call)) continue;
    move(call, parameters);
    parameters.count = 0;
  }
}

}  // namespace
}  // namespace dermatome::adam

DERMATOME_CUDA_TABLE(
    adam,
    {.op = "adam", .type = DType::f32, .run = adam::run, .workspace = adam::workspace, .copy_duty = CopyDuty::writes})

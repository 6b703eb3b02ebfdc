// linear and its gradients on CUDA, one thread a result: what serves where cuDNN declines.
#include "kernels/launch/cuda.cuh"

namespace dermatome::linear {
namespace {

using launch::cuda::Index;

void run_forward(const Call& call) {
  const float* x = launch::in<float>(call, 0);
  const float* weight = launch::in<float>(call, 1);
  const float* bias = call.input_count > 2 ? launch::in<float>(call, 2) : nullptr;
  float* y = launch::out<float>(call, 0);
  const Index inputs = call.inputs[0].extent[1];
  const Index features = call.inputs[1].extent[0];
  launch::cuda::for_each_cell(
      call, call.inputs[0].extent[0], features, DERMATOME_LAMBDA(Index n, Index o) {
        float sum = 0;
        for (Index i = 0; i < inputs; ++i) sum += x[n * inputs + i] * weight[o * inputs + i];
        y[n * features + o] = (bias == nullptr ? 0.0f : bias[o]) + sum;
      });
}

void run_data_gradient(const Call& call) {
  const float* dy = launch::in<float>(call, 0);
  const float* weight = launch::in<float>(call, 1);
  float* dx = launch::out<float>(call, 0);
  const Index features = call.inputs[1].extent[0];
  const Index inputs = call.inputs[1].extent[1];
  launch::cuda::for_each_cell(
      call, call.inputs[0].extent[0], inputs, DERMATOME_LAMBDA(Index n, Index i) {
        float sum = 0;
        for (Index o = 0; o < features; ++o) sum += dy[n * features + o] * weight[o * inputs + i];
        dx[n * inputs + i] = sum;
      });
}

void run_weight_gradient(const Call& call) {
  const float* x = launch::in<float>(call, 0);
  const float* dy = launch::in<float>(call, 1);
  float* dweight = launch::out<float>(call, 0);
  float* dbias = launch::out<float>(call, 1);
  const Index samples = call.inputs[0].extent[0];
  const Index inputs = call.inputs[0].extent[1];
  const Index features = call.inputs[1].extent[1];
  if (dweight != nullptr) {
    launch::cuda::for_each_cell(
        call, features, inputs, DERMATOME_LAMBDA(Index o, Index i) {
          float sum = 0;
          for (Index n = 0; n < samples; ++n) sum += dy[n * features + o] * x[n * inputs + i];
          dweight[o * inputs + i] = sum;
        });
  }
  if (dbias == nullptr) return;
  launch::cuda::for_each(
      call, features, DERMATOME_LAMBDA(Index o) {
        double sum = 0;
        for (Index n = 0; n < samples; ++n) sum += static_cast<double>(dy[n * features + o]);
        dbias[o] = static_cast<float>(sum);
      });
}

}  // namespace
}  // namespace dermatome::linear

DERMATOME_CUDA_TABLE(linear, {"linear", DType::f32, linear::run_forward},
                     {"linear_data_gradient", DType::f32, linear::run_data_gradient},
                     {"linear_weight_gradient", DType::f32, linear::run_weight_gradient})

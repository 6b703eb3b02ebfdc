// linear and its gradients, the specification.
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

using launch::Index;

template <typename T>
void forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  const T* weight = launch::in<T>(call, 1);
  const T* bias = launch::in<T>(call, 2);
  T* y = launch::out<T>(call, 0);
  const Index samples = call.inputs[0].extent[0];
  const Index inputs = call.inputs[0].extent[1];
  const Index features = call.inputs[1].extent[0];
  for (Index n = 0; n < samples; ++n) {
    for (Index o = 0; o < features; ++o) {
      T sum = bias == nullptr ? T(0) : bias[o];
      for (Index i = 0; i < inputs; ++i) sum += x[n * inputs + i] * weight[o * inputs + i];
      y[n * features + o] = sum;
    }
  }
}

template <typename T>
void data_gradient(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  const T* weight = launch::in<T>(call, 1);
  T* dx = launch::out<T>(call, 0);
  const Index samples = call.inputs[0].extent[0];
  const Index features = call.inputs[1].extent[0];
  const Index inputs = call.inputs[1].extent[1];
  for (Index n = 0; n < samples; ++n) {
    for (Index i = 0; i < inputs; ++i) {
      T sum = 0;
      for (Index o = 0; o < features; ++o) sum += dy[n * features + o] * weight[o * inputs + i];
      dx[n * inputs + i] = sum;
    }
  }
}

template <typename T>
void weight_gradient(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  const T* dy = launch::in<T>(call, 1);
  T* dweight = launch::out<T>(call, 0);
  T* dbias = launch::out<T>(call, 1);
  const Index samples = call.inputs[0].extent[0];
  const Index inputs = call.inputs[0].extent[1];
  const Index features = call.inputs[1].extent[1];
  for (Index o = 0; o < features; ++o) {
    for (Index i = 0; dweight != nullptr && i < inputs; ++i) {
      T sum = 0;
      for (Index n = 0; n < samples; ++n) sum += dy[n * features + o] * x[n * inputs + i];
      dweight[o * inputs + i] = sum;
    }
    T sum = 0;
    for (Index n = 0; n < samples; ++n) sum += dy[n * features + o];
    if (dbias != nullptr) dbias[o] = sum;
  }
}

DERMATOME_REFERENCE({"linear", DType::f32, forward<float>}, {"linear", DType::f64, forward<double>},
                    {"linear_data_gradient", DType::f32, data_gradient<float>},
                    {"linear_data_gradient", DType::f64, data_gradient<double>},
                    {"linear_weight_gradient", DType::f32, weight_gradient<float>},
                    {"linear_weight_gradient", DType::f64, weight_gradient<double>});

}  // namespace
}  // namespace dermatome

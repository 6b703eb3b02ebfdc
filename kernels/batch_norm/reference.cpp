// batch_norm and its gradients, the specification.
#include <cmath>

#include "kernels/batch_norm/math.h"
#include "kernels/batch_norm/reference.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

using namespace batch_norm;  // the enumerators of the attributes

template <typename T>
void forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  const T* gamma = launch::in<T>(call, 1);
  const T* beta = launch::in<T>(call, 2);
  const T* running_mean = launch::in<T>(call, 3);
  const T* running_var = launch::in<T>(call, 4);
  T* y = launch::out<T>(call, 0);
  const auto channels = call.inputs[1].elements;
  const auto rows = call.inputs[0].elements / channels;
  const bool train = launch::integer(call, kMode) == kModeTrain;
  const auto eps = static_cast<T>(launch::real(call, kEpsilon));
  const auto momentum = static_cast<T>(launch::real(call, kMomentum));
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto s = train ? statistics_of(x, rows, channels, c) : Statistics<T>{running_mean[c], running_var[c]};
    const T inverse = 1 / std::sqrt(s.variance + eps);
    if (y != nullptr) {
      for (std::int64_t r = 0; r < rows; ++r) {
        y[r * channels + c] = (x[r * channels + c] - s.mean) * inverse * gamma[c] + beta[c];
      }
    }
    if (!train) continue;
    const T unbiased = s.variance * static_cast<T>(rows) / static_cast<T>(rows - 1);
    if (T* mean = launch::out<T>(call, 1); mean != nullptr) mean[c] = s.mean;
    if (T* deviation = launch::out<T>(call, 2); deviation != nullptr) deviation[c] = inverse;
    if (T* to = launch::out<T>(call, 3); to != nullptr) to[c] = (1 - momentum) * running_mean[c] + momentum * s.mean;
    if (T* to = launch::out<T>(call, 4); to != nullptr) to[c] = (1 - momentum) * running_var[c] + momentum * unbiased;
  }
}

template <typename T>
void affine_of_running(const Call& call) {
  const T* mean = launch::in<T>(call, 2);
  const T* variance = launch::in<T>(call, 3);
  T* scale = launch::out<T>(call, 0);
  T* shift = launch::out<T>(call, 1);
  for (std::int64_t c = 0; c < call.inputs[0].elements; ++c) {
    const T factor = launch::in<T>(call, 0)[c] / std::sqrt(variance[c] + static_cast<T>(launch::real(call, 0)));
    if (scale != nullptr) scale[c] = factor;
    if (shift != nullptr) shift[c] = launch::in<T>(call, 1)[c] - mean[c] * factor;
  }
}

// `fixed`: mean and deviation do not depend on x.
template <typename T>
void backward(const Call& call, bool fixed) {
  const T* dy = launch::in<T>(call, 0);
  const T* x = launch::in<T>(call, 1);
  const T* gamma = launch::in<T>(call, 2);
  const T* mean = launch::in<T>(call, 3);
  T* dx = launch::out<T>(call, 0);
  T* dgamma = launch::out<T>(call, 1);
  T* dbeta = launch::out<T>(call, 2);
  const auto channels = call.inputs[2].elements;
  const auto rows = call.inputs[0].elements / channels;
  for (std::int64_t c = 0; c < channels; ++c) {
    const T last = launch::in<T>(call, 4)[c];
    const T inverse = fixed ? 1 / std::sqrt(last + static_cast<T>(launch::real(call, 0))) : last;
    T sum = 0;
    T sum_normalised = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      sum += dy[r * channels + c];
      sum_normalised += dy[r * channels + c] * (x[r * channels + c] - mean[c]) * inverse;
    }
    if (dgamma != nullptr) dgamma[c] = sum_normalised;
    if (dbeta != nullptr) dbeta[c] = sum;
    if (dx == nullptr) continue;
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t i = r * channels + c;
      const T normalised = (x[i] - mean[c]) * inverse;
      const T through_statistics = fixed ? T(0) : (sum + normalised * sum_normalised) / static_cast<T>(rows);
      dx[i] = gamma[c] * inverse * (dy[i] - through_statistics);
    }
  }
}

template <typename T>
void train_gradient(const Call& call) {
  backward<T>(call, false);
}
template <typename T>
void frozen_gradient(const Call& call) {
  backward<T>(call, true);
}

DERMATOME_REFERENCE({"batch_norm", DType::f32, forward<float>}, {"batch_norm", DType::f64, forward<double>},
                    {"batch_norm_affine", DType::f32, affine_of_running<float>},
                    {"batch_norm_affine", DType::f64, affine_of_running<double>},
                    {"batch_norm_gradient", DType::f32, train_gradient<float>},
                    {"batch_norm_gradient", DType::f64, train_gradient<double>},
                    {"batch_norm_frozen_gradient", DType::f32, frozen_gradient<float>},
                    {"batch_norm_frozen_gradient", DType::f64, frozen_gradient<double>});

}  // namespace
}  // namespace dermatome

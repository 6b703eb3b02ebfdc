// batch_norm_relu and its gradient, the specification.
#include <cmath>

#include "kernels/batch_norm/math.h"
#include "kernels/batch_norm/reference.h"
#include "kernels/batch_norm_relu/math.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

using namespace batch_norm;  // the enumerators of the attributes

template <typename T>
void put(const Call& call, int output, std::int64_t c, T value) {
  if (T* to = launch::out<T>(call, output); to != nullptr) to[c] = value;
}

template <typename T>
const T* optional(const Call& call, int input) {
  return call.input_count > input ? launch::in<T>(call, input) : nullptr;
}

template <typename T>
void forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  const T* residual = optional<T>(call, batch_norm_relu::kResidual);
  const T* sum = optional<T>(call, batch_norm_relu::kSum);
  const T* sum_of_squares = optional<T>(call, batch_norm_relu::kSumOfSquares);
  const T* running_mean = launch::in<T>(call, 3);
  const T* running_var = launch::in<T>(call, 4);
  T* y = launch::out<T>(call, 0);
  const auto channels = call.inputs[1].elements;
  const auto rows = call.inputs[0].elements / channels;
  const bool train = launch::integer(call, kMode) == kModeTrain;
  const auto momentum = static_cast<T>(launch::real(call, kMomentum));
  for (std::int64_t c = 0; c < channels; ++c) {
    auto s = train ? statistics_of(x, rows, channels, c) : Statistics<T>{running_mean[c], running_var[c]};
    if (sum != nullptr) {
      s.mean = sum[c] / static_cast<T>(rows);
      s.variance = sum_of_squares[c] / static_cast<T>(rows) - s.mean * s.mean;
    }
    const T inverse = 1 / std::sqrt(s.variance + static_cast<T>(launch::real(call, kEpsilon)));
    for (std::int64_t r = 0; y != nullptr && r < rows; ++r) {
      const std::int64_t i = r * channels + c;
      const T z = (x[i] - s.mean) * inverse * launch::in<T>(call, 1)[c] + launch::in<T>(call, 2)[c] +
                  (residual == nullptr ? T(0) : residual[i]);
      y[i] = z > 0 ? z : 0;
    }
    if (!train) continue;
    const T unbiased = s.variance * static_cast<T>(rows) / static_cast<T>(rows - 1);
    put(call, 1, c, s.mean);
    put(call, 2, c, inverse);
    put(call, 3, c, (1 - momentum) * running_mean[c] + momentum * s.mean);
    put(call, 4, c, (1 - momentum) * running_var[c] + momentum * unbiased);
  }
}

template <typename T>
void backward(const Call& call) {
  using namespace batch_norm_relu;
  const T* dy = launch::in<T>(call, 0);
  const T* x = launch::in<T>(call, 1);
  const T* y = optional<T>(call, kOutput);
  const T* given_sum = optional<T>(call, kGradientSum);  // dy is masked then
  const T* given_products = optional<T>(call, kSumOfProducts);
  T* dx = launch::out<T>(call, 0);
  T* dresidual = y == nullptr ? nullptr : launch::out<T>(call, 3);
  const bool fixed = launch::integer(call, kFixed) != 0;
  const auto channels = call.inputs[2].elements;
  const auto rows = call.inputs[1].elements / channels;
  for (std::int64_t c = 0; c < channels; ++c) {
    const T gamma = launch::in<T>(call, 2)[c];
    const T beta = launch::in<T>(call, 3)[c];
    const T mean = launch::in<T>(call, 4)[c];
    const T last = launch::in<T>(call, 5)[c];
    const T inverse = fixed ? 1 / std::sqrt(last + static_cast<T>(launch::real(call, kGradientEpsilon))) : last;
    const auto normalised = [&](std::int64_t i) { return (x[i] - mean) * inverse; };
    const auto masked = [&](std::int64_t i) {
      const T z = y == nullptr ? normalised(i) * gamma + beta : y[i];
      return given_sum != nullptr || z > 0 ? dy[i] : T(0);
    };
    T sum = 0;
    T sum_normalised = 0;
    for (std::int64_t i = c; i < rows * channels; i += channels) {
      sum += masked(i);
      sum_normalised += masked(i) * normalised(i);
    }
    if (given_sum != nullptr) {
      sum = given_sum[c];
      sum_normalised = (given_products[c] - mean * sum) * inverse;
    }
    put(call, 1, c, sum_normalised);
    put(call, 2, c, sum);
    for (std::int64_t i = c; i < rows * channels; i += channels) {
      const T d = masked(i);
      const T through_statistics = fixed ? T(0) : (sum + normalised(i) * sum_normalised) / static_cast<T>(rows);
      if (dresidual != nullptr) dresidual[i] = d;
      if (dx != nullptr) dx[i] = gamma * inverse * (d - through_statistics);
    }
  }
}

DERMATOME_REFERENCE({"batch_norm_relu", DType::f32, forward<float>}, {"batch_norm_relu", DType::f64, forward<double>},
                    {"batch_norm_relu_gradient", DType::f32, backward<float>},
                    {"batch_norm_relu_gradient", DType::f64, backward<double>});

}  // namespace
}  // namespace dermatome

// decoder_step and its gradients, the specification: normalise, stamp, join; then each sum as it stands in the formula.
#include <cmath>
#include <vector>

#include "kernels/batch_norm/math.h"
#include "kernels/decoder_step/math.h"
#include "kernels/launch/cpu.h"
#include "kernels/launch/register.h"

namespace dermatome {
namespace {

using namespace decoder_step;  // enumerators and Sizes
using Index = std::int64_t;

template <typename T>
struct Statistics {
  T mean = 0, inverse = 1, variance = 0;
};

template <typename T>
Statistics<T> statistics(const T* x, Index rows, Index channels, Index c, T eps) {
  Statistics<T> s;
  for (Index r = 0; r < rows; ++r) s.mean += x[r * channels + c];
  s.mean /= static_cast<T>(rows);
  for (Index r = 0; r < rows; ++r) s.variance += (x[r * channels + c] - s.mean) * (x[r * channels + c] - s.mean);
  s.variance /= static_cast<T>(rows);
  s.inverse = 1 / std::sqrt(s.variance + eps);
  return s;
}

// What is convolved: x, or x normalised. Fills the statistics' outputs in mode train.
template <typename T>
std::vector<T> normalised(const Call& call, const Sizes& s) {
  const T* x = launch::in<T>(call, kX);
  std::vector<T> result(x, x + s.pixels() * s.in);
  const auto mode = launch::integer(call, kMode);
  if (mode == kModeNone) return result;
  const auto eps = static_cast<T>(launch::real(call, kEpsilon));
  const auto momentum = static_cast<T>(launch::real(call, kMomentum));
  const T* running_mean = launch::in<T>(call, kRunningMean);
  const T* running_var = launch::in<T>(call, kRunningVar);
  for (Index c = 0; c < s.in; ++c) {
    Statistics<T> of{running_mean[c], 1 / std::sqrt(running_var[c] + eps), running_var[c]};
    if (mode == kModeTrain) of = statistics(x, s.pixels(), s.in, c, eps);
    for (Index p = 0; p < s.pixels(); ++p) {
      T& value = result[static_cast<std::size_t>(p * s.in + c)];
      value = (value - of.mean) * of.inverse * launch::in<T>(call, kGamma)[c] + launch::in<T>(call, kBeta)[c];
    }
    if (mode != kModeTrain) continue;
    const T unbiased = of.variance * static_cast<T>(s.pixels()) / static_cast<T>(s.pixels() - 1);
    const T values[] = {of.mean, of.inverse, (1 - momentum) * running_mean[c] + momentum * of.mean,
                        (1 - momentum) * running_var[c] + momentum * unbiased};
    for (int i = 0; i < 4; ++i) {
      if (T* to = launch::out<T>(call, 1 + i); to != nullptr) to[c] = values[i];
    }
  }
  return result;
}

template <typename T>
void forward(const Call& call) {
  const Sizes s = sizes(call.inputs[kX], call.inputs[kWeight], call.outputs[0]);
  const std::vector<T> x = normalised<T>(call, s);
  const T* weight = launch::in<T>(call, kWeight);
  const T* bias = launch::in<T>(call, kBias);
  T* y = launch::out<T>(call, 0);
  if (y == nullptr) return;
  for (Index p = 0; p < s.pixels(); ++p)
    for (Index tap = 0; tap < s.taps(); ++tap)
      for (Index o = 0; o < s.out; ++o) {
        T sum = bias[o];
        for (Index i = 0; i < s.in; ++i)
          sum += x[static_cast<std::size_t>(p * s.in + i)] * weight[(i * s.out + o) * s.taps() + tap];
        y[s.under(p, tap / s.kernel, tap % s.kernel) * s.channels + o] = sum;
      }
  if (call.input_count <= kSkip || call.inputs[kSkip].data == nullptr) return;
  const T* skip = launch::in<T>(call, kSkip);
  const T* skip_weight = launch::in<T>(call, kSkipWeight);
  const T* skip_bias = launch::in<T>(call, kSkipBias);
  const Index skip_in = call.inputs[kSkip].extent[3];
  for (Index p = 0; p < s.pixels() * s.taps(); ++p) {
    T* pixel = y + p * s.channels;
    for (Index o = s.out; o < s.channels; ++o) {
      pixel[o] = skip_bias[o - s.out];
      for (Index i = 0; i < skip_in; ++i) pixel[o] += skip[p * skip_in + i] * skip_weight[(o - s.out) * skip_in + i];
    }
    for (Index o = 0; o < s.channels; ++o) pixel[o] = pixel[o] > 0 ? pixel[o] : 0;
  }
}

// Gradient of the convolved tensor at (pixel, i).
template <typename T>
T gradient_at(const Call& call, const Sizes& s, Index pixel, Index i) {
  const T* dy = launch::in<T>(call, kGradientDy);
  const T* weight = launch::in<T>(call, kGradientWeight);
  T sum = 0;
  for (Index tap = 0; tap < s.taps(); ++tap)
    for (Index o = 0; o < s.out; ++o)
      sum += weight[(i * s.out + o) * s.taps() + tap] *
             dy[s.under(pixel, tap / s.kernel, tap % s.kernel) * s.channels + o];
  return sum;
}

template <typename T>
void gradient(const Call& call) {
  const Sizes s = sizes(call.inputs[kGradientX], call.inputs[kGradientWeight], call.inputs[kGradientDy]);
  const T* dy = launch::in<T>(call, kGradientDy);
  const T* x = launch::in<T>(call, kGradientX);
  T* dweight = launch::out<T>(call, 1);
  const auto mode = launch::integer(call, kGradientMode);
  const bool masked = launch::integer(call, kGradientMasked) != 0;
  const auto count = static_cast<T>(s.pixels());
  if (T* dbias = launch::out<T>(call, 2); dbias != nullptr) {
    for (Index o = 0; o < s.out; ++o) {
      dbias[o] = 0;
      for (Index p = 0; p < s.pixels() * s.taps(); ++p) dbias[o] += dy[p * s.channels + o];
    }
  }
  std::vector<T> of_channel(static_cast<std::size_t>(s.pixels()));
  for (Index i = 0; i < s.in; ++i) {
    T mean = 0;
    T inverse = 1;
    T gamma = 1;
    T beta = 0;
    if (mode != kModeNone) {
      const T last = launch::in<T>(call, kGradientLast)[i];
      mean = launch::in<T>(call, kGradientMean)[i];
      inverse = mode == kModeTrain ? last : 1 / std::sqrt(last + static_cast<T>(launch::real(call, kGradientEpsilon)));
      gamma = launch::in<T>(call, kGradientGamma)[i];
      beta = launch::in<T>(call, kGradientBeta)[i];
    }
    T sum = 0;
    T sum_normalised = 0;
    for (Index p = 0; p < s.pixels(); ++p) {
      const T value = gradient_at<T>(call, s, p, i);
      of_channel[static_cast<std::size_t>(p)] = value;
      sum += value;
      sum_normalised += value * (x[p * s.in + i] - mean) * inverse;
    }
    for (Index o = 0; o < s.out && dweight != nullptr; ++o)
      for (Index tap = 0; tap < s.taps(); ++tap) {
        T& to = dweight[(i * s.out + o) * s.taps() + tap];
        to = 0;
        for (Index p = 0; p < s.pixels(); ++p)
          to += ((x[p * s.in + i] - mean) * inverse * gamma + beta) *
                dy[s.under(p, tap / s.kernel, tap % s.kernel) * s.channels + o];
      }
    if (mode != kModeNone) {
      if (T* to = launch::out<T>(call, 3); to != nullptr) to[i] = sum_normalised;
      if (T* to = launch::out<T>(call, 4); to != nullptr) to[i] = sum;
    }
    T* dx = launch::out<T>(call, 0);
    for (Index p = 0; p < s.pixels() && dx != nullptr; ++p) {
      const T value = x[p * s.in + i];  // read before it is overwritten, where dx lies in x's place
      const T through = mode == kModeTrain ? (sum + (value - mean) * inverse * sum_normalised) / count : T(0);
      const T result = gamma * inverse * (of_channel[static_cast<std::size_t>(p)] - through);
      dx[p * s.in + i] = masked && !(value > 0) ? T(0) : result;
    }
  }
}

template <typename T>
void skip_gradient(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  const T* skip = launch::in<T>(call, 1);
  const T* weight = launch::in<T>(call, 2);
  const Index channels = call.inputs[0].extent[3];
  const Index in = call.inputs[1].extent[3];
  const Index out = call.inputs[2].extent[0];
  const Index pixels = call.inputs[1].elements / in;
  T* dskip = launch::out<T>(call, 0);
  for (Index p = 0; p < pixels && dskip != nullptr; ++p)
    for (Index i = 0; i < in; ++i) {
      T sum = 0;
      for (Index o = 0; o < out; ++o) sum += dy[p * channels + channels - out + o] * weight[o * in + i];
      dskip[p * in + i] = sum;
    }
  T* dweight = launch::out<T>(call, 1);
  T* dbias = launch::out<T>(call, 2);
  for (Index o = 0; o < out; ++o) {
    const T* from = dy + channels - out + o;
    for (Index i = 0; i < in && dweight != nullptr; ++i) {
      T sum = 0;
      for (Index p = 0; p < pixels; ++p) sum += from[p * channels] * skip[p * in + i];
      dweight[o * in + i] = sum;
    }
    if (dbias == nullptr) continue;
    dbias[o] = 0;
    for (Index p = 0; p < pixels; ++p) dbias[o] += from[p * channels];
  }
}

DERMATOME_REFERENCE({"decoder_step", DType::f32, forward<float>}, {"decoder_step", DType::f64, forward<double>},
                    {"decoder_step_gradient", DType::f32, gradient<float>},
                    {"decoder_step_gradient", DType::f64, gradient<double>},
                    {"decoder_skip_gradient", DType::f32, skip_gradient<float>},
                    {"decoder_skip_gradient", DType::f64, skip_gradient<double>});

}  // namespace
}  // namespace dermatome

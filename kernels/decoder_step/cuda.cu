// The passes of cuda_passes.h.
#include <math.h>

#include "kernels/batch_norm/cuda_statistics.cuh"
#include "kernels/decoder_step/cuda_passes.h"

namespace dermatome::decoder_step {
namespace {

using launch::Bfloat16;
using launch::load;
using launch::store;
using launch::cuda::ChannelSums;
using launch::cuda::Index;
using launch::cuda::load_pack;
using launch::cuda::store_pack;

constexpr int kPack = batch_norm::kPack;

// f(element of the type, pack), where the channels divide; else without packs.
template <typename F>
void dispatch(DType type, std::int64_t channels, const F& f) {
  const bool packs = channels % kPack == 0;
  if (type == DType::f32) {
    packs ? f(float{}, std::integral_constant<int, kPack>{}) : f(float{}, std::integral_constant<int, 1>{});
  } else {
    packs ? f(Bfloat16{}, std::integral_constant<int, kPack>{}) : f(Bfloat16{}, std::integral_constant<int, 1>{});
  }
}

template <typename T>
void fold(const Call& call, const float* weight, const Sizes& s, const float* scale, T* to) {
  const Index taps = s.taps(), out = s.out;
  launch::cuda::for_each_cell(
      call, s.in * taps, out, DERMATOME_LAMBDA(Index row, Index o) {
        const Index i = row / taps;
        const float factor = scale == nullptr ? 1.0f : scale[i];
        to[row * out + o] = store<T>(factor * weight[(i * out + o) * taps + row % taps]);
      });
}

// Of element e of [out, taps], as in the weight, to [taps, out].
struct PlaceTapBias {
  const float* bias;
  float* to;
  Index taps, out;
  DERMATOME_HD void operator()(Index e, double sum) const {
    to[e % taps * out + e / taps] = bias[e / taps] + static_cast<float>(sum);
  }
};

template <typename T, int N>
void add_biases(const Call& call, T* y, const Sizes& s, const float* biases, bool relu) {
  const Index out = s.out, step = s.channels;
  // 32 bits divide several times faster, and no tensor has so many pixels.
  const auto kernel = static_cast<std::uint32_t>(s.kernel);
  const auto width = static_cast<std::uint32_t>(s.width * s.kernel);
  launch::cuda::for_each_cell(
      call, s.pixels() * s.taps(), out / N, DERMATOME_LAMBDA(Index row, Index column) {
        const auto pixel = static_cast<std::uint32_t>(row);
        const Index tap = pixel / width % kernel * kernel + pixel % width % kernel;
        const Index c = column * N;
        auto pack = load_pack<T, N>(y + row * step + c);
        const auto added = load_pack<float, N>(biases + tap * out + c);
        for (int k = 0; k < N; ++k) {
          const float value = load(pack.value[k]) + added.value[k];
          pack.value[k] = store<T>(relu && value < 0 ? 0.0f : value);
        }
        store_pack<T, N>(y + row * step + c, pack);
      });
}

template <typename T, int N>
void sum_taps(const Call& call, const T* dy, const Sizes& s, float* partial, float* sums) {
  launch::cuda::reduce_channels<float, 1, N>(
      call, s.pixels(), s.taps() * s.out, partial, DERMATOME_LAMBDA(Index) { return 0; },
      DERMATOME_LAMBDA(Index pixel, Index c, int, ChannelSums<float, 1, N>& terms) {
        const Index tap = c / s.out;
        const auto pack = load_pack<T, N>(dy + s.under(pixel, tap / s.kernel, tap % s.kernel) * s.channels + c % s.out);
        for (int k = 0; k < N; ++k) terms.term[0][k] = load(pack.value[k]);
      },
      DERMATOME_LAMBDA(Index c, const double* totals) { sums[c] = static_cast<float>(totals[0]); });
}

// What weight_gradients reads and writes; null where a gradient is not wanted, or without normalisation.
struct WeightGradients {
  const float *weight, *gamma, *beta, *mean, *sums;
  float *dweight, *dgamma, *dbeta;
};

template <typename Raw>
void finish_weights(const Call& call, const Raw* raw, Index raw_channels, const Sizes& s, const WeightGradients& g,
                    const Factors& factors, bool fixed, void* partial) {
  const Index taps = s.taps(), out = s.out, size = taps * out;
  const double count = static_cast<double>(s.pixels());
  launch::cuda::reduce_images<float, 2>(
      call, s.in, size, partial,
      DERMATOME_LAMBDA(Index i, Index e, float* terms) {
        const Index tap = e % taps, o = e / taps;
        float value = load(raw[(i * taps + tap) * raw_channels + o]);
        terms[0] = 0;
        terms[1] = 0;
        if (g.gamma != nullptr) {
          const float sum = g.sums[tap * out + o];
          const float normalised = factors.inverse[i] * (value - g.mean[i] * sum);
          terms[0] = g.weight[i * size + e] * normalised;
          terms[1] = g.weight[i * size + e] * sum;
          value = g.gamma[i] * normalised + g.beta[i] * sum;
        }
        if (g.dweight != nullptr) g.dweight[i * size + e] = value;
      },
      DERMATOME_LAMBDA(Index i, const double* totals) {
        if (g.gamma == nullptr) return;
        if (g.dgamma != nullptr) g.dgamma[i] = static_cast<float>(totals[0]);
        if (g.dbeta != nullptr) g.dbeta[i] = static_cast<float>(totals[1]);
        const auto of =
            batch_norm::input_gradient<double>(static_cast<double>(g.gamma[i]), static_cast<double>(g.mean[i]),
                                               static_cast<double>(factors.inverse[i]), totals[0], totals[1], count);
        factors.of_x[i] = fixed ? 0.0f : static_cast<float>(of.x_factor);
        factors.constant[i] = fixed ? 0.0f : static_cast<float>(of.constant);
      });
}

// One thread a result; sums are f32, those over pixels double. T: of the operands; R: of the result.
template <typename T, typename R>
void multiply(const Call& call, const cudnn::Convolution& c, const cudnn::Operands& operands) {
  const Sizes s{c.n, c.out_height, c.out_width, c.out, c.kernel, c.in, c.x_step()};  // of the smaller side: y
  const Index taps = s.taps(), in = c.in, out = c.out, x_step = c.x_step(), y_step = c.y_step();
  R* result = static_cast<R*>(operands.result);
  const T* first = static_cast<const T*>(operands.first);
  const T* second = static_cast<const T*>(operands.second);
  switch (c.direction) {
    case cudnn::Direction::forward:
      launch::cuda::for_each_cell(
          call, s.pixels(), out, DERMATOME_LAMBDA(Index pixel, Index o) {
            float sum = 0;
            for (Index tap = 0; tap < taps; ++tap) {
              const T* from = first + s.under(pixel, tap / s.kernel, tap % s.kernel) * x_step;
              for (Index i = 0; i < in; ++i) sum += load(from[i]) * load(second[(o * taps + tap) * in + i]);
            }
            result[pixel * y_step + o] = store<R>(sum);
          });
      return;
    case cudnn::Direction::data_gradient:
      launch::cuda::for_each_cell(
          call, s.pixels() * taps, in, DERMATOME_LAMBDA(Index item, Index i) {
            const Index pixel = item / taps, tap = item % taps;
            float sum = 0;
            for (Index o = 0; o < out; ++o) {
              sum += load(first[pixel * y_step + o]) * load(second[(o * taps + tap) * in + i]);
            }
            result[s.under(pixel, tap / s.kernel, tap % s.kernel) * x_step + i] = store<R>(sum);
          });
      return;
    case cudnn::Direction::weight_gradient:
      launch::cuda::for_each_cell(
          call, out * taps, in, DERMATOME_LAMBDA(Index row, Index i) {
            const Index o = row / taps, tap = row % taps;
            double sum = 0;
            for (Index pixel = 0; pixel < s.pixels(); ++pixel) {
              const float from = load(first[s.under(pixel, tap / s.kernel, tap % s.kernel) * x_step + i]);
              sum += static_cast<double>(from) * static_cast<double>(load(second[pixel * y_step + o]));
            }
            result[row * in + i] = store<R>(static_cast<float>(sum));
          });
      return;
  }
}

}  // namespace

Sizes sizes_of_forward(const Call& call) {
  return sizes(call.inputs[kX], call.inputs[kWeight], call.outputs[0]);
}

Sizes sizes_of_gradient(const Call& call) {
  return sizes(call.inputs[kGradientX], call.inputs[kGradientWeight], call.inputs[kGradientDy]);
}

std::int64_t normalise_workspace(const Sizes& s, std::int64_t mode) {
  return mode == kModeTrain ? launch::cuda::reduce_channels_workspace<float, 2>(s.pixels(), s.in) : 0;
}

void normalise(const Call& call, DType type, const Sizes& s, float* scale, float* shift, void* partial) {
  const bool train = launch::integer(call, kMode) == kModeTrain;
  const batch_norm::Forward f{launch::in<float>(call, kGamma),
                              launch::in<float>(call, kBeta),
                              launch::in<float>(call, kRunningMean),
                              launch::in<float>(call, kRunningVar),
                              train ? launch::out<float>(call, 1) : nullptr,
                              train ? launch::out<float>(call, 2) : nullptr,
                              train ? launch::out<float>(call, 3) : nullptr,
                              train ? launch::out<float>(call, 4) : nullptr,
                              scale,
                              shift,
                              launch::real(call, kEpsilon),
                              static_cast<float>(launch::real(call, kMomentum))};
  if (!train) return launch::cuda::for_each(call, s.in, batch_norm::SetFixed{f});
  dispatch(type, s.in, [&](auto element, auto pack) {
    using T = decltype(element);
    batch_norm::set_by_batch<T, pack()>(call, launch::in<T>(call, kX), {s.pixels(), s.in}, f, partial);
  });
}

void fold_weight(const Call& call, const float* weight, const Sizes& s, const float* scale, DType type, void* to) {
  if (type == DType::f32) {
    fold(call, weight, s, scale, static_cast<float*>(to));
  } else {
    fold(call, weight, s, scale, static_cast<Bfloat16*>(to));
  }
}

std::int64_t tap_biases_workspace(const Sizes& s) {
  return launch::cuda::reduce_channels_workspace<float, 1>(s.in, s.out * s.taps());
}

void tap_biases(const Call& call, const float* weight, const float* bias, const float* shift, const Sizes& s,
                void* partial, float* to) {
  const Index taps = s.taps(), out = s.out, size = out * taps;
  const PlaceTapBias place{bias, to, taps, out};
  if (shift == nullptr) {
    launch::cuda::for_each(
        call, size, DERMATOME_LAMBDA(Index e) { place(e, 0.0); });
    return;
  }
  launch::cuda::reduce_channels<float, 1, 1>(
      call, s.in, size, static_cast<float*>(partial), DERMATOME_LAMBDA(Index) { return 0; },
      DERMATOME_LAMBDA(Index i, Index e, int, ChannelSums<float, 1, 1>& terms) {
        terms.term[0][0] = shift[i] * weight[i * size + e];
      },
      DERMATOME_LAMBDA(Index e, const double* totals) { place(e, totals[0]); });
}

void add_tap_biases(const Call& call, DType type, void* y, const Sizes& s, const float* biases, bool relu) {
  // Packs must not reach over a pixel's end.
  dispatch(type, s.out % kPack == 0 && s.channels % kPack == 0 ? kPack : 1, [&](auto element, auto pack) {
    using T = decltype(element);
    add_biases<T, pack()>(call, static_cast<T*>(y), s, biases, relu);
  });
}

std::int64_t tap_sums_workspace(const Sizes& s) {
  return launch::cuda::reduce_channels_workspace<float, 1>(s.pixels(), s.out * s.taps());
}

void tap_sums(const Call& call, DType type, const void* dy, const Sizes& s, void* partial, float* sums, float* dbias) {
  dispatch(type, s.out % kPack == 0 && s.channels % kPack == 0 ? kPack : 1, [&](auto element, auto pack) {
    using T = decltype(element);
    sum_taps<T, pack()>(call, static_cast<const T*>(dy), s, static_cast<float*>(partial), sums);
  });
  if (dbias == nullptr) return;
  const Index taps = s.taps(), out = s.out;
  launch::cuda::for_each(
      call, out, DERMATOME_LAMBDA(Index o) {
        double sum = 0;
        for (Index tap = 0; tap < taps; ++tap) sum += static_cast<double>(sums[tap * out + o]);
        dbias[o] = static_cast<float>(sum);
      });
}

void set_factors(const Call& call, const Sizes& s, const Factors& factors) {
  const bool fixed = launch::integer(call, kGradientMode) != kModeTrain;
  const float* gamma = launch::in<float>(call, kGradientGamma);
  const float* last = launch::in<float>(call, kGradientLast);
  const double epsilon = launch::real(call, kGradientEpsilon);
  launch::cuda::for_each(
      call, s.in, DERMATOME_LAMBDA(Index i) {
        const float inverse =
            fixed ? static_cast<float>(1.0 / ::sqrt(static_cast<double>(last[i]) + epsilon)) : last[i];
        factors.inverse[i] = inverse;
        factors.scale[i] = gamma[i] * inverse;
      });
}

std::int64_t weight_gradients_workspace(const Sizes& s) {
  return launch::cuda::reduce_images_workspace<float, 2>(s.in, s.out * s.taps());
}

void weight_gradients(const Call& call, const RawGradient& raw, const Sizes& s, const float* sums,
                      const Factors& factors, void* partial) {
  const std::int64_t mode = launch::integer(call, kGradientMode);
  const bool normalised = mode != kModeNone;
  const WeightGradients g{launch::in<float>(call, kGradientWeight),
                          normalised ? launch::in<float>(call, kGradientGamma) : nullptr,
                          normalised ? launch::in<float>(call, kGradientBeta) : nullptr,
                          normalised ? launch::in<float>(call, kGradientMean) : nullptr,
                          sums,
                          launch::out<float>(call, 1),
                          normalised ? launch::out<float>(call, 3) : nullptr,
                          normalised ? launch::out<float>(call, 4) : nullptr};
  dispatch(raw.type, 1, [&](auto element, auto) {
    using Raw = decltype(element);
    finish_weights(call, static_cast<const Raw*>(raw.data), raw.channels, s, g, factors, mode != kModeTrain, partial);
  });
}

void multiply_windows(const Call& call, const cudnn::Convolution& c, const cudnn::Operands& operands) {
  if (c.type == DType::f32) return multiply<float, float>(call, c, operands);
  if (c.result == DType::f32) return multiply<Bfloat16, float>(call, c, operands);
  multiply<Bfloat16, Bfloat16>(call, c, operands);
}

}  // namespace dermatome::decoder_step

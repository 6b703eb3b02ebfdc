// batch_norm_relu and its gradient on CUDA: statistics as batch_norm's, then one pass that normalises, adds and cuts
// off; the gradient masks dy as it reads it.
#include <math.h>

#include "kernels/batch_norm/cuda_statistics.cuh"
#include "kernels/batch_norm_relu/math.h"

namespace dermatome::batch_norm_relu {
namespace {

using batch_norm::Affine;
using batch_norm::Sizes;
using launch::load;
using launch::store;
using launch::cuda::ChannelSums;
using launch::cuda::Index;
using launch::cuda::load_pack;
using launch::cuda::Pack;
using launch::cuda::store_pack;

template <typename T>
const T* optional_input(const Call& call, int i) {
  return call.input_count > i ? launch::in<T>(call, i) : nullptr;
}

// residual may be null.
template <typename T, int N>
void apply_rows(const Call& call, const T* x, const T* residual, Sizes size, const float* scale, const float* shift,
                T* y) {
  const Index channels = size.channels;
  launch::cuda::for_each_cell(
      call, size.rows, channels / N, DERMATOME_LAMBDA(Index row, Index column) {
        const Index c = column * N;
        const Index at = row * channels + c;
        const auto from = load_pack<T, N>(x + at);
        const auto added = load_pack<T, N>((residual == nullptr ? x : residual) + at);
        const auto a = load_pack<float, N>(scale + c);
        const auto b = load_pack<float, N>(shift + c);
        Pack<T, N> to;
        for (int k = 0; k < N; ++k) {
          const float joins = residual == nullptr ? 0.0f : load(added.value[k]);
          to.value[k] = store<T>(forward({a.value[k], b.value[k]}, load(from.value[k]), joins));
        }
        store_pack<T, N>(y + at, to);
      });
}

template <typename T, int N>
void forward_in_packs(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  const Sizes size = batch_norm::sizes_of(call, 0, 1);
  const batch_norm::Forward f = batch_norm::forward_of(call, size.channels);
  if (const float* sum = optional_input<float>(call, kSum); sum != nullptr) {
    const float* squares = launch::in<float>(call, kSumOfSquares);
    const auto count = static_cast<double>(size.rows);
    launch::cuda::for_each(
        call, size.channels, DERMATOME_LAMBDA(Index c) { set_by_sums(f, c, sum, squares, count); });
  } else {
    batch_norm::set_scale_and_shift<T, N>(call, x, size, f);
  }
  if (y != nullptr) apply_rows<T, N>(call, x, optional_input<T>(call, kResidual), size, f.scale, f.shift, y);
}

template <typename T>
void run_forward(const Call& call) {
  if (call.inputs[1].elements % batch_norm::kPack == 0) {
    forward_in_packs<T, batch_norm::kPack>(call);
  } else {
    forward_in_packs<T, 1>(call);
  }
}

// What a thread keeps of its channels while it reads rows.
template <int N>
struct Channels {
  Pack<float, N> mean, scale, shift;
};

// Scale and shift of a channel as forward had them, from what it left.
struct Normalisation {
  const float *gamma, *beta, *mean, *last;
  float epsilon;
  bool fixed;
  DERMATOME_HD Affine<float> of(Index c) const {
    return batch_norm::affine<float>(gamma[c], beta[c], mean[c], fixed ? 1.0f / ::sqrtf(last[c] + epsilon) : last[c]);
  }
};

// Where the gradients go besides those that batch_norm's arithmetic fills in.
template <typename T>
struct Operands {
  const T *dy, *x, *y;  // y: null where the mask comes from x
  T *dx, *dresidual;    // may be null
  bool masked;          // dy is zero already where ReLU let nothing through
};

template <typename T, bool kFixedStatistics, int N>
void reduce_gradients(const Call& call, const Operands<T>& o, Sizes size, const Normalisation& normalisation,
                      const batch_norm::Backward<kFixedStatistics>& gradients) {
  const auto [rows, channels] = size;
  launch::cuda::reduce_channels<float, 2, N>(
      call, rows, channels, gradients.factors + 5 * channels,
      DERMATOME_LAMBDA(Index c) {
        Channels<N> kept;
        for (int k = 0; k < N; ++k) {
          const auto a = normalisation.of(c + k);
          kept.mean.value[k] = normalisation.mean[c + k];
          kept.scale.value[k] = a.scale;
          kept.shift.value[k] = a.shift;
        }
        return kept;
      },
      DERMATOME_LAMBDA(Index row, Index c, const Channels<N>& kept, ChannelSums<float, 2, N>& terms) {
        const Index at = row * channels + c;
        const auto d = load_pack<T, N>(o.dy + at);
        const auto value = load_pack<T, N>(o.x + at);
        const auto output = load_pack<T, N>((o.y == nullptr ? o.x : o.y) + at);
        Pack<T, N> through;
        for (int k = 0; k < N; ++k) {
          const float x = load(value.value[k]);
          const float z = o.y == nullptr ? batch_norm::apply<float>({kept.scale.value[k], kept.shift.value[k]}, x)
                                         : load(output.value[k]);
          const float passed = masked(load(d.value[k]), z);
          through.value[k] = store<T>(passed);
          terms.term[0][k] = passed;
          terms.term[1][k] = passed * (x - kept.mean.value[k]);
        }
        if (o.dresidual != nullptr) store_pack<T, N>(o.dresidual + at, through);
      },
      DERMATOME_LAMBDA(Index c, const double* sums) {
        gradients.finish(c, sums);
        const auto a = normalisation.of(c);
        gradients.factors[3 * channels + c] = a.scale;
        gradients.factors[4 * channels + c] = a.shift;
      });
}

template <typename T, bool kFixedStatistics, int N>
void store_dx(const Call& call, const Operands<T>& o, Sizes size,
              const batch_norm::Backward<kFixedStatistics>& gradients) {
  const Index channels = size.channels;
  // Where dy was masked for the residual already, it is read from there: dy's own memory may be gone.
  const T* passed = o.masked ? o.dy : o.dresidual;
  launch::cuda::for_each_cell(
      call, size.rows, channels / N, DERMATOME_LAMBDA(Index row, Index column) {
        const Index c = column * N;
        const Index at = row * channels + c;
        const auto d = load_pack<T, N>((passed == nullptr ? o.dy : passed) + at);
        const auto value = load_pack<T, N>(o.x + at);
        const auto output = load_pack<T, N>((o.y == nullptr ? o.x : o.y) + at);
        Pack<T, N> to;
        for (int k = 0; k < N; ++k) {
          const float x = load(value.value[k]);
          float z = 1;
          if (passed == nullptr) {
            z = o.y != nullptr
                    ? load(output.value[k])
                    : batch_norm::apply<float>(
                          {gradients.factors[3 * channels + c + k], gradients.factors[4 * channels + c + k]}, x);
          }
          to.value[k] = store<T>(gradients.dx(c + k, masked(load(d.value[k]), z), x));
        }
        store_pack<T, N>(o.dx + at, to);
      });
}

template <typename T, bool kFixedStatistics, int N>
void backward_in_packs(const Call& call) {
  const T* y = optional_input<T>(call, kOutput);
  const float* sum = optional_input<float>(call, kGradientSum);
  const Operands<T> o{launch::in<T>(call, 0),
                      launch::in<T>(call, 1),
                      y,
                      launch::out<T>(call, 0),
                      y == nullptr ? nullptr : launch::out<T>(call, 3),
                      sum != nullptr};
  const Sizes size = batch_norm::sizes_of(call, 1, 2);
  const double epsilon = launch::real(call, kGradientEpsilon);
  const Normalisation normalisation{launch::in<float>(call, 2), launch::in<float>(call, 3),  launch::in<float>(call, 4),
                                    launch::in<float>(call, 5), static_cast<float>(epsilon), kFixedStatistics};
  const batch_norm::Backward<kFixedStatistics> gradients{normalisation.gamma,
                                                         normalisation.mean,
                                                         normalisation.last,
                                                         launch::out<float>(call, 1),
                                                         launch::out<float>(call, 2),
                                                         static_cast<float*>(call.workspace),
                                                         size.channels,
                                                         epsilon,
                                                         static_cast<double>(size.rows)};
  if (sum != nullptr) {
    const float* products = launch::in<float>(call, kSumOfProducts);
    launch::cuda::for_each(
        call, size.channels, DERMATOME_LAMBDA(Index c) { finish_by_sums(gradients, c, sum, products); });
  } else {
    reduce_gradients<T, kFixedStatistics, N>(call, o, size, normalisation, gradients);
  }
  if (o.dx != nullptr) store_dx<T, kFixedStatistics, N>(call, o, size, gradients);
}

template <typename T, bool kFixedStatistics>
void backward_by_packs(const Call& call) {
  if (call.inputs[2].elements % batch_norm::kPack == 0) {
    backward_in_packs<T, kFixedStatistics, batch_norm::kPack>(call);
  } else {
    backward_in_packs<T, kFixedStatistics, 1>(call);
  }
}

template <typename T>
void run_backward(const Call& call) {
  if (launch::integer(call, kFixed) != 0) {
    backward_by_packs<T, true>(call);
  } else {
    backward_by_packs<T, false>(call);
  }
}

std::int64_t backward_workspace(const Call& call) {
  const auto [rows, channels] = batch_norm::sizes_of(call, 1, 2);
  return 5 * channels * 4 + launch::cuda::reduce_channels_workspace<float, 2>(rows, channels);
}

}  // namespace
}  // namespace dermatome::batch_norm_relu

// Beside bf16 activations statistics, scales and their gradients are f32.
DERMATOME_CUDA_TABLE(batch_norm_relu,
                     {"batch_norm_relu", DType::f32, batch_norm_relu::run_forward<float>,
                      batch_norm::forward_workspace},
                     {"batch_norm_relu", DType::bf16, batch_norm_relu::run_forward<launch::Bfloat16>,
                      batch_norm::forward_workspace, nullptr, true},
                     {"batch_norm_relu_gradient", DType::f32, batch_norm_relu::run_backward<float>,
                      batch_norm_relu::backward_workspace},
                     {"batch_norm_relu_gradient", DType::bf16, batch_norm_relu::run_backward<launch::Bfloat16>,
                      batch_norm_relu::backward_workspace, nullptr, true})

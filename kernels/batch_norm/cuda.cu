// batch_norm and its gradients on CUDA.
#include "kernels/batch_norm/cuda_statistics.cuh"

namespace dermatome::batch_norm {
namespace {

using launch::load;
using launch::store;
using launch::cuda::ChannelSums;
using launch::cuda::Index;
using launch::cuda::load_pack;
using launch::cuda::Pack;
using launch::cuda::store_pack;

template <typename T, int N>
void apply_rows(const Call& call, const T* x, Sizes size, const float* scale, const float* shift, T* y) {
  const Index channels = size.channels;
  launch::cuda::for_each_cell(
      call, size.rows, channels / N, DERMATOME_LAMBDA(Index row, Index column) {
        const Index c = column * N;
        const auto from = load_pack<T, N>(x + row * channels + c);
        const auto a = load_pack<float, N>(scale + c);
        const auto b = load_pack<float, N>(shift + c);
        Pack<T, N> to;
        for (int k = 0; k < N; ++k) to.value[k] = store<T>(apply<float>({a.value[k], b.value[k]}, load(from.value[k])));
        store_pack<T, N>(y + row * channels + c, to);
      });
}

template <typename T, int N>
void forward_in_packs(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  T* y = launch::out<T>(call, 0);
  const Sizes size = sizes_of(call, 0, 1);
  const Forward f = forward_of(call, size.channels);
  set_scale_and_shift<T, N>(call, x, size, f);
  if (y != nullptr) apply_rows<T, N>(call, x, size, f.scale, f.shift, y);
}

template <typename T>
void forward(const Call& call) {
  if (call.inputs[1].elements % kPack == 0) {
    forward_in_packs<T, kPack>(call);
  } else {
    forward_in_packs<T, 1>(call);
  }
}

// Attribute: eps.
void affine_of_running(const Call& call) {
  const Forward f{.gamma = launch::in<float>(call, 0),
                  .beta = launch::in<float>(call, 1),
                  .running_mean = launch::in<float>(call, 2),
                  .running_var = launch::in<float>(call, 3),
                  .scale = launch::out<float>(call, 0),
                  .shift = launch::out<float>(call, 1),
                  .epsilon = launch::real(call, 0)};
  launch::cuda::for_each(
      call, call.inputs[0].elements, DERMATOME_LAMBDA(Index c) { f.fixed(c); });
}

template <bool kFixedStatistics>
Backward<kFixedStatistics> backward_of(const Call& call, Sizes size) {
  return {launch::in<float>(call, 2),
          launch::in<float>(call, 3),
          launch::in<float>(call, 4),
          launch::out<float>(call, 1),
          launch::out<float>(call, 2),
          static_cast<float*>(call.workspace),
          size.channels,
          kFixedStatistics ? launch::real(call, 0) : 0,
          static_cast<double>(size.rows)};
}

// Sums dy and dy * (x - mean) of every channel, then dx = a * dy + b * x + c.
template <typename T, bool kFixedStatistics, int N>
void reduce_gradients(const Call& call, const T* dy, const T* x, Sizes size,
                      const Backward<kFixedStatistics>& gradients) {
  const auto [rows, channels] = size;
  const float* mean = gradients.mean;
  launch::cuda::reduce_channels<float, 2, N>(
      call, rows, channels, gradients.factors + 3 * channels,
      DERMATOME_LAMBDA(Index c) { return load_pack<float, N>(mean + c); },
      DERMATOME_LAMBDA(Index row, Index c, const Pack<float, N>& means, ChannelSums<float, 2, N>& terms) {
        const auto d = load_pack<T, N>(dy + row * channels + c);
        const auto value = load_pack<T, N>(x + row * channels + c);
        for (int k = 0; k < N; ++k) {
          terms.term[0][k] = load(d.value[k]);
          terms.term[1][k] = load(d.value[k]) * (load(value.value[k]) - means.value[k]);
        }
      },
      DERMATOME_LAMBDA(Index c, const double* sums) { gradients.finish(c, sums); });
}

template <typename T, bool kFixedStatistics, int N>
void backward_in_packs(const Call& call) {
  const T* dy = launch::in<T>(call, 0);
  const T* x = launch::in<T>(call, 1);
  T* dx = launch::out<T>(call, 0);
  const Sizes size = sizes_of(call, 0, 2);
  const Index channels = size.channels;
  const auto gradients = backward_of<kFixedStatistics>(call, size);
  reduce_gradients<T, kFixedStatistics, N>(call, dy, x, size, gradients);
  if (dx == nullptr) return;
  launch::cuda::for_each_cell(
      call, size.rows, channels / N, DERMATOME_LAMBDA(Index row, Index column) {
        const Index c = column * N;
        const Index at = row * channels + c;
        const auto d = load_pack<T, N>(dy + at);
        const auto value = load_pack<T, N>(x + at);
        Pack<T, N> to;
        for (int k = 0; k < N; ++k) {
          to.value[k] = store<T>(gradients.dx(c + k, load(d.value[k]), load(value.value[k])));
        }
        store_pack<T, N>(dx + at, to);
      });
}

template <typename T, bool kFixedStatistics>
void backward(const Call& call) {
  if (call.inputs[2].elements % kPack == 0) {
    backward_in_packs<T, kFixedStatistics, kPack>(call);
  } else {
    backward_in_packs<T, kFixedStatistics, 1>(call);
  }
}

std::int64_t backward_workspace(const Call& call) {
  const auto [rows, channels] = sizes_of(call, 0, 2);
  return 3 * channels * 4 + launch::cuda::reduce_channels_workspace<float, 2>(rows, channels);
}

}  // namespace
}  // namespace dermatome::batch_norm

// Beside bf16 activations statistics, scales and their gradients are f32.
DERMATOME_CUDA_TABLE(
    batch_norm, {"batch_norm", DType::f32, batch_norm::forward<float>, batch_norm::forward_workspace},
    {"batch_norm", DType::bf16, batch_norm::forward<launch::Bfloat16>, batch_norm::forward_workspace, nullptr, true},
    {"batch_norm_affine", DType::f32, batch_norm::affine_of_running},
    {"batch_norm_gradient", DType::f32, batch_norm::backward<float, false>, batch_norm::backward_workspace},
    {"batch_norm_gradient", DType::bf16, batch_norm::backward<launch::Bfloat16, false>, batch_norm::backward_workspace,
     nullptr, true},
    {"batch_norm_frozen_gradient", DType::f32, batch_norm::backward<float, true>, batch_norm::backward_workspace},
    {"batch_norm_frozen_gradient", DType::bf16, batch_norm::backward<launch::Bfloat16, true>,
     batch_norm::backward_workspace, nullptr, true})

// decoder_step and its gradient on CUDA where x becomes a single channel of one or two times its sides, U-Net's head:
// no product for a matrix engine, but one read of x forward, and backward one for the sums and one for dx.
#include <algorithm>

#include "kernels/decoder_step/cuda_passes.h"
#include "kernels/launch/cuda_dots.cuh"
#include "kernels/launch/workspace.h"

namespace dermatome::decoder_step {
namespace {

using launch::Bfloat16;
using launch::load;
using launch::store;
using launch::cuda::ChannelSums;
using launch::cuda::Index;
using launch::cuda::load_pack;
using launch::cuda::Pack;
using launch::cuda::store_pack;

using launch::part_of;

bool is_narrow(const Sizes& s, const Operand& x) {
  const Index pack = x.type == DType::f32 ? 4 : 8;
  return (s.kernel == 1 || s.kernel == 2) && s.out == 1 && s.channels == 1 && s.in % pack == 0;
}

constexpr int kMostTaps = 4;

// --- forward ---

struct ForwardParts {
  float *scale, *shift, *weight, *biases;
  void* partial;
  Index bytes;

  ForwardParts(const Call& call, const Sizes& s) {
    launch::WorkspaceLayout layout;
    const auto floats = [&](Index count) { return part_of<float>(call.workspace, layout.take_floats(count)); };
    scale = floats(s.in);
    shift = floats(s.in);
    weight = floats(s.in * s.taps());
    biases = floats(s.taps());
    const Index most = std::max(normalise_workspace(s, launch::integer(call, kMode)), tap_biases_workspace(s));
    partial = part_of<void>(call.workspace, layout.take(most));
    bytes = layout.bytes();
  }
};

template <int N, int kTaps>
struct Weights {
  float tap[N * kTaps];  // [N][kTaps]
};

template <int kKernel, typename T, typename Result>
void multiply(const Call& call, const Sizes& s, const ForwardParts& parts) {
  constexpr int kTaps = kKernel * kKernel;
  constexpr int N = 16 / sizeof(T);
  const T* x = launch::in<T>(call, kX);
  Result* y = launch::out<Result>(call, 0);
  const float* weight = parts.weight;
  const float* biases = parts.biases;
  const Index in = s.in;
  launch::cuda::sum_along_rows<kTaps, N>(
      call, s.pixels(), in,
      DERMATOME_LAMBDA(Index c) {
        Weights<N, kTaps> kept;
        for (int k = 0; k < N * kTaps; ++k) kept.tap[k] = weight[c * kTaps + k];
        return kept;
      },
      DERMATOME_LAMBDA(Index pixel, Index c, const Weights<N, kTaps>& kept, float* terms) {
        const auto pack = load_pack<T, N>(x + pixel * in + c);
        for (int k = 0; k < N; ++k) {
          const float value = load(pack.value[k]);
          for (int tap = 0; tap < kTaps; ++tap) terms[tap] += value * kept.tap[k * kTaps + tap];
        }
      },
      DERMATOME_LAMBDA(Index pixel, const float* sums) {
        for (int tap = 0; tap < kTaps; ++tap) {
          y[s.under(pixel, tap / kKernel, tap % kKernel)] = store<Result>(sums[tap] + biases[tap]);
        }
      });
}

template <int kKernel, typename T>
void forward_of(const Call& call) {
  const Sizes s = sizes_of_forward(call);
  const ForwardParts parts(call, s);
  const bool normalised = launch::integer(call, kMode) != kModeNone;
  if (normalised) normalise(call, call.inputs[kX].type, s, parts.scale, parts.shift, parts.partial);
  if (call.outputs[0].data == nullptr) return;
  const float* weight = launch::in<float>(call, kWeight);
  fold_weight(call, weight, s, normalised ? parts.scale : nullptr, DType::f32, parts.weight);
  tap_biases(call, weight, launch::in<float>(call, kBias), normalised ? parts.shift : nullptr, s, parts.partial,
             parts.biases);
  if (call.outputs[0].type == DType::f32) {
    multiply<kKernel, T, float>(call, s, parts);
  } else {
    multiply<kKernel, T, T>(call, s, parts);
  }
}

template <typename T>
void forward(const Call& call) {
  sizes_of_forward(call).kernel == 1 ? forward_of<1, T>(call) : forward_of<2, T>(call);
}

std::int64_t forward_workspace(const Call& call) {
  return ForwardParts(call, sizes_of_forward(call)).bytes;
}

bool accepts_forward(const Call& call) {
  return is_narrow(sizes_of_forward(call), call.inputs[kX]);
}

// --- gradient ---

struct GradientParts {
  Factors factors;
  float *sums, *raw, *weight;
  void* partial;
  Index bytes;

  GradientParts(const Call& call, const Sizes& s) {
    launch::WorkspaceLayout layout;
    const auto floats = [&](Index count) { return part_of<float>(call.workspace, layout.take_floats(count)); };
    factors = {floats(s.in), floats(s.in), floats(s.in), floats(s.in)};
    sums = floats(s.taps());
    raw = floats(s.in * s.taps());
    weight = floats(s.in * s.taps());
    const Index most = std::max({tap_sums_workspace(s), weight_gradients_workspace(s),
                                 launch::cuda::reduce_channels_workspace<float, kMostTaps>(s.pixels(), s.in)});
    partial = part_of<void>(call.workspace, layout.take(most));
    bytes = layout.bytes();
  }
};

// raw [in, taps]: sums over the pixels of x * dy.
template <int kKernel, typename T>
void sum_products(const Call& call, const Sizes& s, const GradientParts& parts) {
  constexpr int kTaps = kKernel * kKernel;
  constexpr int kPack = 4;
  const T* dy = launch::in<T>(call, kGradientDy);
  const T* x = launch::in<T>(call, kGradientX);
  float* raw = parts.raw;
  launch::cuda::reduce_channels<float, kTaps, kPack>(
      call, s.pixels(), s.in, static_cast<float*>(parts.partial), DERMATOME_LAMBDA(Index) { return 0; },
      DERMATOME_LAMBDA(Index pixel, Index c, int, ChannelSums<float, kTaps, kPack>& terms) {
        const auto pack = load_pack<T, kPack>(x + pixel * s.in + c);
        for (int tap = 0; tap < kTaps; ++tap) {
          const float slope = load(dy[s.under(pixel, tap / kKernel, tap % kKernel)]);
          for (int k = 0; k < kPack; ++k) terms.term[tap][k] = slope * load(pack.value[k]);
        }
      },
      DERMATOME_LAMBDA(Index c, const double* totals) {
        for (int tap = 0; tap < kTaps; ++tap) raw[c * kTaps + tap] = static_cast<float>(totals[tap]);
      });
}

// The folded weight's sum over the taps, and what is x's, behind the mask.
template <int kKernel, typename T>
void store_dx(const Call& call, const Sizes& s, const GradientParts& parts, bool of_x, bool masked) {
  constexpr int kTaps = kKernel * kKernel;
  constexpr int N = 16 / sizeof(T);
  const T* dy = launch::in<T>(call, kGradientDy);
  const T* x = launch::in<T>(call, kGradientX);
  T* dx = launch::out<T>(call, 0);
  const float* weight = parts.weight;
  const Factors factors = parts.factors;
  launch::cuda::for_each_cell(
      call, s.pixels(), s.in / N, DERMATOME_LAMBDA(Index pixel, Index column) {
        const Index c = column * N;
        float slopes[kTaps];
        for (int tap = 0; tap < kTaps; ++tap) slopes[tap] = load(dy[s.under(pixel, tap / kKernel, tap % kKernel)]);
        const auto pack = load_pack<T, N>(x + pixel * s.in + c);
        Pack<T, N> to;
        for (int k = 0; k < N; ++k) {
          const float value = load(pack.value[k]);
          float sum = of_x ? factors.of_x[c + k] * value + factors.constant[c + k] : 0.0f;
          for (int tap = 0; tap < kTaps; ++tap) sum += slopes[tap] * weight[(c + k) * kTaps + tap];
          to.value[k] = store<T>(masked && !(value > 0) ? 0.0f : sum);
        }
        store_pack<T, N>(dx + pixel * s.in + c, to);
      });
}

template <int kKernel, typename T>
void gradient_of(const Call& call) {
  const Sizes s = sizes_of_gradient(call);
  const GradientParts parts(call, s);
  const DType type = call.inputs[kGradientX].type;
  const std::int64_t mode = launch::integer(call, kGradientMode);
  tap_sums(call, type, call.inputs[kGradientDy].data, s, parts.partial, parts.sums, launch::out<float>(call, 2));
  if (mode != kModeNone) set_factors(call, s, parts.factors);
  sum_products<kKernel, T>(call, s, parts);
  weight_gradients(call, {DType::f32, parts.raw, s.out}, s, parts.sums, parts.factors, parts.partial);
  if (call.outputs[0].data == nullptr) return;
  fold_weight(call, launch::in<float>(call, kGradientWeight), s, mode == kModeNone ? nullptr : parts.factors.scale,
              DType::f32, parts.weight);
  store_dx<kKernel, T>(call, s, parts, mode == kModeTrain, launch::integer(call, kGradientMasked) != 0);
}

template <typename T>
void gradient(const Call& call) {
  sizes_of_gradient(call).kernel == 1 ? gradient_of<1, T>(call) : gradient_of<2, T>(call);
}

std::int64_t gradient_workspace(const Call& call) {
  return GradientParts(call, sizes_of_gradient(call)).bytes;
}

bool accepts_gradient(const Call& call) {
  return is_narrow(sizes_of_gradient(call), call.inputs[kGradientX]);
}

const FunctionEntry table[] = {
    {"decoder_step", DType::f32, forward<float>, forward_workspace, accepts_forward},
    {"decoder_step", DType::bf16, forward<Bfloat16>, forward_workspace, accepts_forward, true},
    {"decoder_step_gradient", DType::f32, gradient<float>, gradient_workspace, accepts_gradient},
    {"decoder_step_gradient", DType::bf16, gradient<Bfloat16>, gradient_workspace, accepts_gradient, true},
    {nullptr, DType::f32, nullptr}};
const launch::CudaTableRegistrar registrar(table, "narrow", 20);

}  // namespace
}  // namespace dermatome::decoder_step

// decoder_step and its gradient on CUDA where x is doubled to a single channel, U-Net's head: no product for a matrix
// engine, but one read of x forward, and backward one for the sums and one for dx.
#include "kernels/decoder_step/cuda_passes.h"
#include "kernels/launch/cuda_dots.cuh"

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

constexpr int kKernel = 2;
constexpr int kTaps = kKernel * kKernel;
constexpr Index kAlignment = 64;

Index aligned(Index bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Hands out the parts of a workspace, or of none, to learn its size.
class Parts {
 public:
  explicit Parts(void* workspace) : base_(static_cast<std::byte*>(workspace)) {}
  template <typename T>
  T* take(Index bytes) {
    std::byte* at = base_ == nullptr ? nullptr : base_ + used_;
    used_ += aligned(bytes);
    return reinterpret_cast<T*>(at);
  }
  Index used() const { return used_; }

 private:
  std::byte* base_;
  Index used_ = 0;
};

bool is_narrow(const Sizes& s, const Operand& x) {
  const Index pack = x.type == DType::f32 ? 4 : 8;
  return s.kernel == kKernel && s.out == 1 && s.channels == 1 && s.in % pack == 0;
}

// --- forward ---

struct ForwardParts {
  float *scale, *shift, *weight, *biases;
  void* partial;
  Index bytes;

  ForwardParts(const Call& call, const Sizes& s) {
    Parts parts(call.workspace);
    scale = parts.take<float>(s.in * 4);
    shift = parts.take<float>(s.in * 4);
    weight = parts.take<float>(s.in * kTaps * 4);
    biases = parts.take<float>(kTaps * 4);
    const Index statistics = normalise_workspace(s, launch::integer(call, kMode));
    const Index of_biases = tap_biases_workspace(s);
    partial = parts.take<void>(statistics > of_biases ? statistics : of_biases);
    bytes = parts.used();
  }
};

template <int N>
struct Weights {
  float tap[N * kTaps];  // [N][kTaps]
};

template <typename T, typename Result, int N>
void multiply(const Call& call, const Sizes& s, const ForwardParts& parts) {
  const T* x = launch::in<T>(call, kX);
  Result* y = launch::out<Result>(call, 0);
  const float* weight = parts.weight;
  const float* biases = parts.biases;
  const Index in = s.in;
  launch::cuda::sum_along_rows<kTaps, N>(
      call, s.pixels(), in,
      DERMATOME_LAMBDA(Index c) {
        Weights<N> kept;
        for (int k = 0; k < N * kTaps; ++k) kept.tap[k] = weight[c * kTaps + k];
        return kept;
      },
      DERMATOME_LAMBDA(Index pixel, Index c, const Weights<N>& kept, float* terms) {
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

template <typename T>
void forward(const Call& call) {
  constexpr int kPack = 16 / sizeof(T);
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
    multiply<T, float, kPack>(call, s, parts);
  } else {
    multiply<T, T, kPack>(call, s, parts);
  }
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
    Parts parts(call.workspace);
    factors = {parts.take<float>(s.in * 4), parts.take<float>(s.in * 4), parts.take<float>(s.in * 4),
               parts.take<float>(s.in * 4)};
    sums = parts.take<float>(kTaps * 4);
    raw = parts.take<float>(s.in * kTaps * 4);
    weight = parts.take<float>(s.in * kTaps * 4);
    Index most = tap_sums_workspace(s);
    for (const Index other :
         {launch::cuda::reduce_channels_workspace<float, kTaps>(s.pixels(), s.in), weight_gradients_workspace(s)}) {
      if (other > most) most = other;
    }
    partial = parts.take<void>(most);
    bytes = parts.used();
  }
};

// raw [in, taps]: sums over the pixels of x * dy.
template <typename T>
void sum_products(const Call& call, const Sizes& s, const GradientParts& parts) {
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
template <typename T, int N>
void store_dx(const Call& call, const Sizes& s, const GradientParts& parts, bool of_x, bool masked) {
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

template <typename T>
void gradient(const Call& call) {
  const Sizes s = sizes_of_gradient(call);
  const GradientParts parts(call, s);
  const DType type = call.inputs[kGradientX].type;
  const std::int64_t mode = launch::integer(call, kGradientMode);
  tap_sums(call, type, call.inputs[kGradientDy].data, s, parts.partial, parts.sums, launch::out<float>(call, 2));
  if (mode != kModeNone) set_factors(call, s, parts.factors);
  sum_products<T>(call, s, parts);
  weight_gradients(call, {DType::f32, parts.raw, s.out}, s, parts.sums, parts.factors, parts.partial);
  if (call.outputs[0].data == nullptr) return;
  fold_weight(call, launch::in<float>(call, kGradientWeight), s, mode == kModeNone ? nullptr : parts.factors.scale,
              DType::f32, parts.weight);
  store_dx<T, 16 / sizeof(T)>(call, s, parts, mode == kModeTrain, launch::integer(call, kGradientMasked) != 0);
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

// batch_norm_relu and its gradient on the CPU: statistics as batch_norm's, then one pass that normalises, adds and cuts
// off; the gradient masks dy as it reads it.
#include <math.h>

#include "kernels/batch_norm/statistics.h"
#include "kernels/batch_norm_relu/math.h"
#include "kernels/launch/row_sums.h"
#include "kernels/launch/table.h"

namespace dermatome::batch_norm_relu {
namespace {

using batch_norm::Affine;
using batch_norm::Backward;
using batch_norm::Normalisation;
using launch::Index;
using launch::load;
using launch::store;
using launch::Vec;

template <typename T>
const T* optional_input(const Call& call, int i) {
  return call.input_count > i ? launch::in<T>(call, i) : nullptr;
}

template <typename T, bool kJoined>
void apply_rows(const Normalisation& n, const T* x, const T* residual, T* y) {
  const Index channels = n.channels;
  const float* scale = n.forward.scale;
  const float* shift = n.forward.shift;
  launch::for_each_row(n.rows, channels, [=](Index row) {
    const Index base = row * channels;
#pragma omp simd
    for (Index c = 0; c < channels; ++c) {
      const float joins = kJoined ? load(residual[base + c]) : 0.0f;
      y[base + c] = store<T>(forward({scale[c], shift[c]}, load(x[base + c]), joins));
    }
  });
}

template <typename T>
void run_forward(const Call& call) {
  const T* x = launch::in<T>(call, 0);
  const T* residual = optional_input<T>(call, kResidual);
  T* y = launch::out<T>(call, 0);
  const Normalisation n = batch_norm::normalisation_of(call);
  if (const float* sum = optional_input<float>(call, kSum); sum != nullptr) {
    const float* squares = launch::in<float>(call, kSumOfSquares);
    for (Index c = 0; c < n.channels; ++c) set_by_sums(n.forward, c, sum, squares, static_cast<double>(n.rows));
  } else {
    batch_norm::normalise(n, x, static_cast<float*>(call.workspace) + 2 * n.channels);
  }
  if (y == nullptr) return;
  if (residual == nullptr) {
    apply_rows<T, false>(n, x, residual, y);
  } else {
    apply_rows<T, true>(n, x, residual, y);
  }
}

// Where it shows what ReLU let through.
enum class Mask {
  from_x,
  from_y,
  done,  // dy is zero already where it let nothing through
};

template <typename T>
struct Operands {
  const T *dy, *x, *y;
  T *dx, *dresidual;           // may be null
  const float *scale, *shift;  // as forward had them
  Index rows, channels;

  // Whether ReLU let the element through, positive where it did.
  template <Mask kMask>
  DERMATOME_HD float output(Index at, Index c) const {
    return kMask == Mask::from_y ? load(y[at]) : batch_norm::apply<float>({scale[c], shift[c]}, load(x[at]));
  }
  template <Mask kMask>
  DERMATOME_HD Vec outputs(Index at, Index c) const {
    return kMask == Mask::from_y ? load(y + at) : load(x + at) * load(scale + c) + load(shift + c);
  }
};

// Sums of dy where ReLU let it through and of its product with x - mean; dresidual takes what came through.
template <typename T, Mask kMask, bool kFixedStatistics>
void sum_gradients(const Operands<T>& o, const Backward<kFixedStatistics>& gradients, float* workspace) {
  const float* mean = gradients.mean;
  const auto finish = [=](Index c, const double* sums) { gradients.finish(c, sums); };
  if (o.channels % launch::kLanes != 0) {
    launch::reduce_channels<float, 2>(
        o.rows, o.channels, workspace,
        [=](Index row, Index c, float* terms) {
          const Index at = row * o.channels + c;
          const float passed = masked(load(o.dy[at]), o.template output<kMask>(at, c));
          if (kMask == Mask::from_y && o.dresidual != nullptr) o.dresidual[at] = store<T>(passed);
          terms[0] = passed;
          terms[1] = passed * (load(o.x[at]) - mean[c]);
        },
        finish);
    return;
  }
  launch::for_each_chunk(o.rows, 2 * o.channels, [=](Index chunk, Index begin, Index end) {
    const auto terms = [=](Index row, Index c, Vec* added) {
      const Index at = row * o.channels + c;
      const Vec passed = o.template outputs<kMask>(at, c) > Vec{} ? load(o.dy + at) : Vec{};
      if (kMask == Mask::from_y && o.dresidual != nullptr) store(o.dresidual + at, passed);
      added[0] = passed;
      added[1] = passed * (load(o.x + at) - load(mean + c));
    };
    launch::sum_rows<2>(begin, end, o.channels, terms, workspace + chunk * 2 * o.channels);
  });
  launch::combine_chunks<float, 2>(o.rows, o.channels, workspace, finish);
}

template <typename T, Mask kMask, bool kFixedStatistics>
void store_dx(const Operands<T>& o, const Backward<kFixedStatistics>& gradients) {
  launch::for_each_row(o.rows, o.channels, [=](Index row) {
    const Index base = row * o.channels;
#pragma omp simd
    for (Index c = 0; c < o.channels; ++c) {
      const Index at = base + c;
      const float z = kMask == Mask::done ? 1.0f : o.template output<kMask>(at, c);
      o.dx[at] = store<T>(gradients.dx(c, masked(load(o.dy[at]), z), load(o.x[at])));
    }
  });
}

template <typename T, Mask kMask, bool kFixedStatistics>
void run_masked(Operands<T> o, const Backward<kFixedStatistics>& gradients, float* workspace) {
  sum_gradients<T, kMask>(o, gradients, workspace);
  if (o.dx == nullptr) return;
  if (kMask == Mask::from_y && o.dresidual != nullptr) {
    o.dy = o.dresidual;  // masked, and dy's own memory may be gone
    store_dx<T, Mask::done>(o, gradients);
  } else {
    store_dx<T, kMask>(o, gradients);
  }
}

template <typename T, bool kFixedStatistics>
void backward(const Call& call) {
  const T* y = optional_input<T>(call, kOutput);
  const float* sum = optional_input<float>(call, kGradientSum);
  const Index channels = call.inputs[2].elements;
  float* factors = static_cast<float*>(call.workspace);
  float* scale = factors + 3 * channels;
  float* shift = scale + channels;
  const Operands<T> o{.dy = launch::in<T>(call, 0),
                      .x = launch::in<T>(call, 1),
                      .y = y,
                      .dx = launch::out<T>(call, 0),
                      .dresidual = y == nullptr ? nullptr : launch::out<T>(call, 3),
                      .scale = scale,
                      .shift = shift,
                      .rows = call.inputs[1].elements / channels,
                      .channels = channels};
  const Backward<kFixedStatistics> gradients{.gamma = launch::in<float>(call, 2),
                                             .mean = launch::in<float>(call, 4),
                                             .last = launch::in<float>(call, 5),
                                             .dgamma = launch::out<float>(call, 1),
                                             .dbeta = launch::out<float>(call, 2),
                                             .factors = factors,
                                             .channels = channels,
                                             .epsilon = launch::real(call, kGradientEpsilon),
                                             .count = static_cast<double>(o.rows)};
  if (sum != nullptr) {
    const float* products = launch::in<float>(call, kSumOfProducts);
    for (Index c = 0; c < channels; ++c) finish_by_sums(gradients, c, sum, products);
    if (o.dx != nullptr) store_dx<T, Mask::done>(o, gradients);
    return;
  }
  const float* beta = launch::in<float>(call, 3);
  for (Index c = 0; c < channels; ++c) {
    const float last = gradients.last[c];
    const float inverse = kFixedStatistics ? 1.0f / sqrtf(last + static_cast<float>(gradients.epsilon)) : last;
    const Affine<float> a = batch_norm::affine<float>(gradients.gamma[c], beta[c], gradients.mean[c], inverse);
    scale[c] = a.scale;
    shift[c] = a.shift;
  }
  if (y == nullptr) {
    run_masked<T, Mask::from_x>(o, gradients, shift + channels);
  } else {
    run_masked<T, Mask::from_y>(o, gradients, shift + channels);
  }
}

template <typename T>
void run_backward(const Call& call) {
  if (launch::integer(call, kFixed) != 0) {
    backward<T, true>(call);
  } else {
    backward<T, false>(call);
  }
}

Index backward_workspace(const Call& call) {
  const Index channels = call.inputs[2].elements;
  return 5 * channels * 4 + launch::reduce_channels_workspace<float, 2>(call.inputs[1].elements / channels, channels);
}

}  // namespace
}  // namespace dermatome::batch_norm_relu

// Beside bf16 activations statistics, scales and their gradients are f32.
DERMATOME_CPU_TABLE(batch_norm_relu,
                    {"batch_norm_relu", DType::f32, batch_norm_relu::run_forward<float>, batch_norm::forward_workspace},
                    {"batch_norm_relu", DType::bf16, batch_norm_relu::run_forward<launch::Bfloat16>,
                     batch_norm::forward_workspace, nullptr, true},
                    {"batch_norm_relu_gradient", DType::f32, batch_norm_relu::run_backward<float>,
                     batch_norm_relu::backward_workspace},
                    {"batch_norm_relu_gradient", DType::bf16, batch_norm_relu::run_backward<launch::Bfloat16>,
                     batch_norm_relu::backward_workspace, nullptr, true})

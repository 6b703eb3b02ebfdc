// Convolutions through cuDNN as engine kernels: weights come as OHWI copies, weight gradients leave as OIHW.
#pragma once

#include <memory>
#include <vector>

#include "engine/compile/kernel.h"
#include "kernels/vendor/cudnn.h"

namespace dermatome::cudnn {

// Which operands of the Call are which; -1: absent. A weight gradient reads x and dy; the others read `read` (x, or
// dy), the weight and what the epilogue asks for, and write output 0.
struct OperandsOfCall {
  int read = 0, weight = 1, bias = -1, scale = -1, shift = -1, residual = -1, gate = -1, other = -1;
  bool sums = false;  // outputs 1 and 2
};
struct OperandsOfWeightGradient {
  int x, dy, dweight, dbias;
};

// The graphs that serve a convolution, by themselves or with a pass of our own behind them. Best guess first; none
// where cuDNN cannot help.
std::vector<Convolution> candidates_for(const Convolution& wanted);

// What serves `wanted`: one of its candidates with a plan, and a pass behind it where the candidate lacks the epilogue.
struct Planned {
  Convolution wanted, chosen;
  std::unique_ptr<Plan> plan;  // null where cuDNN accepts no candidate

  std::int64_t workspace_bytes() const;
  void run(const Call& call, const Operands& operands) const;
};
Planned plan_for(const Convolution& wanted, const KernelRequest& request);

// The prepared input that cuDNN reads as the kernel of a convolution: input `input`, OIHW, as OHWI of `type`.
PreparedInput weight_as_ohwi(int input, const TensorDesc& weight, DType type);

// For tests: which candidate is taken where the host stands in for a device, so that the passes behind plans and the
// products run too; the last where there are not as many.
inline constexpr std::size_t kLastCandidate = ~std::size_t{0};
extern std::size_t host_candidate;

// `wanted` says what is to come out in the end (a weight gradient: f32). Null where cuDNN accepts no graph.
std::unique_ptr<Kernel> make_convolution(const Convolution& wanted, const OperandsOfCall& operands,
                                         const KernelRequest& request);
std::unique_ptr<Kernel> make_weight_gradient(const Convolution& wanted, const OperandsOfWeightGradient& operands,
                                             const KernelRequest& request);

}  // namespace dermatome::cudnn

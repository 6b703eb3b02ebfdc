// Ops that exist only in the test program, all named test_...: simple enough to know every result by heart. The harness
// does not ask for cases of them.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "engine/compile/kernel.h"
#include "engine/graph/autograd.h"

namespace dermatome::harness {

// test_square(x): x * x, may work in place. Gradient: 2 x dy.
// test_multiply(a, b): may work in the place of a.
// test_increment(x): x + 1, may work in place; its gradient is its upstream.
// test_reverse(x): the elements in reverse order; may not work in place. Gradient: test_reverse.
// test_total(x): the sum, shape [1]. Gradient: test_spread.
// test_spread(x, like): the one element of x in the shape of `like`.
// test_halves(x): the first and the second half of a vector, which must not overwrite x.
// test_large(x, count): f32[count] filled with x's first element.
// test_scratch(x): x + 1 by way of a workspace twice as large as x.
// test_weighted(x, weight): x * weight in one shape; on cpu wants its weight prepared as "reversed", and counts the
// reorders. test_weighted_by_rows: the same, its weight prepared two elements at a time where a writer asks for that.
// test_without_kernel(x): has no kernel anywhere. test_wrong(x): x + 1, on cpu wrong by one half in the last
// element. test_counts(x): its sum, and how many elements are positive (i32, not differentiable).
int weighted_reorders();
int weighted_rows();  // how often some rows were reordered alone

// What a test op consists of; `infer` left out means the description of input 0.
struct OpParts {
  Signature signature;
  std::function<std::vector<TensorDesc>(const OpCall&)> infer;
  std::function<void(GradientContext&)> gradient;
  std::vector<InPlace> in_place;
  std::function<std::vector<Value>(Builder&, const Attributes&, const std::vector<Value>&)> composition;
};
const Op& register_test_op(OpParts parts);

using KernelFunction = void (*)(const Call&);
using WorkspaceFunction = std::int64_t (*)(const Call&);
// For both types, on the given device, as implementation "test".
void register_test_kernels(const std::string& op, DeviceKind device, KernelFunction f32, KernelFunction f64,
                           WorkspaceFunction workspace = nullptr);
// The same functions on cpu and reference.
void register_test_kernels(const std::string& op, KernelFunction f32, KernelFunction f64,
                           WorkspaceFunction workspace = nullptr);

// Whether an op is one of these.
bool is_test_op(std::string_view name);

}  // namespace dermatome::harness

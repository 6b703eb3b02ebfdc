// What is demanded of every op and kernel, one function a demand. Each returns a failure that says where and by how
// much, so that planted errors can be shown to be caught. They throw Error where an op breaks its own contract.
#pragma once

#include <gtest/gtest.h>

#include "tests/harness/kernel_run.h"

namespace dermatome::harness {

using testing::AssertionResult;

// Within `tolerance` of the largest magnitude, what is bf16 also within its rounding; integers exactly. Undefined
// tensors agree with everything.
AssertionResult agree(const Tensor& want, const Tensor& got, double tolerance, std::string_view what);

// OpCase::tolerance, or bf16_tolerance where the case has one and runs in bf16.
double tolerance_of(const OpCase& op_case, std::optional<DType> type);

// The op's gradient against fourth-order central differences of <w, outputs> with random w, in f64 on the reference
// device: every element of small inputs, a sample of large ones, and one random direction over all elements. Each
// gradient also has the same value when it alone is wanted, and when only one output has an upstream gradient.
AssertionResult check_gradient(const OpCase& op_case);

// Below, `type` is that of instantiate(): left out, the case's own types.

// The same gradient nodes on that device, behind the op itself, against the reference device in f64: within four times
// tolerance_of(), or the case's own bf16_gradient_tolerance, of each gradient's largest magnitude.
AssertionResult check_gradient_on(const OpCase& op_case, Device device, std::optional<DType> type = {});

// Whether the op sets a gradient for any floating input of the case; false too where it says that it has none.
bool has_gradient(const OpCase& op_case);

// Whether that implementation takes the case on its device.
bool accepts(const OpCase& op_case, const Implementation& implementation, std::optional<DType> type = {});

// The kernel against what the op means in f64: within tolerance_of() of each output's largest magnitude; integers
// exactly.
AssertionResult check_parity(const OpCase& op_case, const Implementation& implementation,
                             std::optional<DType> type = {});

// The kernel in f64 against the composition of a fused op, to 1e-10.
AssertionResult check_composition(const OpCase& op_case, const Implementation& implementation);

// Two runs, of two kernels, have the same bits, whatever lies in the outputs and the workspace beforehand; own kernels
// also for one, two and three threads (`any_threads`).
AssertionResult check_reruns(const OpCase& op_case, const Implementation& implementation, bool any_threads,
                             std::optional<DType> type = {});

// With each declared pair of one memory, the same bits as with two.
AssertionResult check_in_place(const OpCase& op_case, const Implementation& implementation,
                               std::optional<DType> type = {});

// Each output alone, the others without memory: the same as with all.
AssertionResult check_unused_outputs(const OpCase& op_case, const Implementation& implementation,
                                     std::optional<DType> type = {});

// The case as a program on that device, twice with different contents, has the bits of a fresh kernel: floating inputs
// but bf16 ones as states (whose prepared copies must follow their state), then as plain inputs.
AssertionResult check_program(const OpCase& op_case, Device device, std::optional<DType> type = {});

}  // namespace dermatome::harness

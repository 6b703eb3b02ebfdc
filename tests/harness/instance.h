// An OpCase made concrete: its attributes, its inputs as tensors, the outputs it infers.
#pragma once

#include <optional>
#include <vector>

#include "engine/compile/kernel.h"
#include "kernels/launch/op_case.h"

namespace dermatome::harness {

struct Instance {
  const Op& op;
  Attributes attributes;
  std::vector<Tensor> inputs;  // host memory; undefined where absent
  std::vector<TensorDesc> outputs;
};

// Inputs are drawn from Philox by the case's names, the input's index and `salt`, in the case's own types. With
// `floating`, every floating-point input is then converted to that type, so that the same case can run in f32 and in
// f64 from the same numbers. bf16 stands for what the type policy makes of the op: all numbers are rounded to bf16, and
// the inputs that their op declares so have that type. Throws Error for a case that its op refuses.
Instance instantiate(const OpCase& op_case, std::optional<DType> floating = {}, unsigned salt = 0);

// The same with whatever the memory holds: for questions that shapes and types answer.
Instance without_contents(const OpCase& op_case, std::optional<DType> floating = {});

// The same numbers in f64.
Instance widened(const Instance& instance);

// Whether the case has an input that may be bf16.
bool has_bf16_form(const OpCase& op_case);

// Descriptions as the op sees them; valid while the instance lives.
OpCall call_of(const Instance& instance);

// Of a kernel that computes every output, or those marked in `used`.
KernelRequest request_for(const Instance& instance, Device device, const std::vector<bool>& used = {});

// "relu/odd_sides".
std::string name_of(const OpCase& op_case);

// Elements of any type, widened.
std::vector<double> values_of(const Tensor& tensor);
Tensor tensor_from(const std::vector<double>& values, const TensorDesc& desc);

double largest_magnitude(const std::vector<double>& values);  // NaN when one of them is

}  // namespace dermatome::harness

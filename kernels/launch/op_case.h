// OpCase: one application of an op that the harness proves and benchmarks can time. Each family lists its own in
// cases.cpp.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/op.h"

namespace dermatome {

// How the harness fills one input. Floating inputs are drawn from Philox by case and input.
struct InputFill {
  enum class Kind : std::uint8_t {
    absent,    // an optional input left out
    uniform,   // U(low, high)
    distinct,  // a shuffled ladder from low to high without ties: for max pooling
    off_zero,  // U(low, high) kept at least 0.05 away from zero: for ReLU
    integers,  // whole numbers in [low, high]
    binary,    // low or high
    constant,  // low
  };
  Kind kind = Kind::uniform;
  double low = -1;
  double high = 1;
};

struct CaseInput {
  TensorDesc desc;  // floating types are f32 here; the harness also runs the case in f64 (and bf16 where registered)
  InputFill fill{};
};

struct OpCase {
  std::string op;
  std::string name;  // "stride_2_odd_sides"
  std::vector<CaseInput> inputs;
  std::vector<std::pair<std::string, AttributeArgument>> attributes;
  double tolerance = 2e-5;                  // CPU f32 against Reference f64, relative to the output's largest magnitude
  double bf16_tolerance = 0;                // of a bf16 form that rounds inside (weights, factors); 0: `tolerance`
  double bf16_gradient_tolerance = 0;       // the same of its gradients on a device; 0: four times the op's own
  bool check_gradient = true;               // f64 central differences; ops without a gradient say false
  std::vector<std::size_t> constants = {};  // floating inputs that the op gives no gradient for: the truth of a loss
};

void register_cases(std::initializer_list<OpCase> cases);
const std::vector<OpCase>& all_cases();

struct CaseRegistrar {
  CaseRegistrar(std::initializer_list<OpCase> cases) { register_cases(cases); }
};

}  // namespace dermatome

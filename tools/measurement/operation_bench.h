// One operation by itself, at any shape: a graph of its own, whose kernels are run alone again and again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/measurement/profile.h"

namespace dermatome::measurement {

struct OperationSettings {
  std::string op;
  // Of the inputs in the signature's order: "8x64x64x64", with a type "8x64x64x1:u8", or "none" for an optional one.
  // Inputs that are a layer's states (weights) may be left out: they follow from the first input and the attributes.
  std::vector<std::string> shapes;
  std::vector<std::string> attributes;  // "kernel=3"
  bool gradient = false;                // also the operation's gradient, for made-up gradients of its outputs
  // f32, f64 on the reference, or bf16: then each input has the type that a bf16 network gives it.
  DType type = DType::f32;
  Device device;
  CompileOptions compile;
};

class OperationBench {
 public:
  // Throws UsageError for a shape or attribute that is no such thing, Error when the operation refuses them.
  explicit OperationBench(const OperationSettings& settings);

  struct Timing {
    NodeProfile node;
    int runs = 0;
  };
  // Runs each kernel of the pass ("forward" or "gradient") alone for about `seconds`; caches stay as warm as the kernel
  // leaves them.
  std::vector<Timing> time(const std::string& pass, double seconds, const MachineRates& rates);

  struct Result {
    std::string name;  // "y", "gradient of weight"
    std::vector<double> values;
  };
  // Runs everything once.
  std::vector<Result> results();
  double last_run_seconds() const { return last_run_seconds_; }  // of the last such run

 private:
  Graph build(const OperationSettings& settings) const;
  void fill_inputs();

  StateStore store_;
  std::optional<Program> program_;
  double last_run_seconds_ = 0;
};

}  // namespace dermatome::measurement

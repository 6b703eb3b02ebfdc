// What an op means, computed in f64 on the reference device.
#pragma once

#include <optional>
#include <vector>

#include "engine/compile/program.h"
#include "tests/harness/kernel_run.h"

namespace dermatome::harness {

inline constexpr Device kReference{DeviceKind::reference, 0};
inline constexpr Device kCpu{DeviceKind::cpu, 0};

// Every rewrite off: what is written is what runs.
CompileOptions without_passes();

// A program with a store of its own.
struct SmallProgram {
  explicit SmallProgram(Device device) : store(device) {}
  StateStore store;
  std::optional<Program> program;
};

// The unfused composition of a fused op, or the reference kernel of every other one.
class Meaning {
 public:
  // `instance` gives the shapes; it is of type f64 where it is floating. Throws Error when the op has neither.
  explicit Meaning(const Instance& instance);

  // Undefined where a composition has no equal of an output.
  std::vector<Tensor> outputs(const Instance& instance) const;
  bool composed() const { return composed_ != nullptr; }

 private:
  std::optional<ReadyKernel> kernel_;
  std::unique_ptr<SmallProgram> composed_;
  std::vector<bool> composed_output_;
};

std::string input_name(std::size_t i);   // "input0"
std::string output_name(std::size_t i);  // "output0"

}  // namespace dermatome::harness

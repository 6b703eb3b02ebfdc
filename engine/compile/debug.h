// What the debug switches do after each step: trace, dump, compare with the Reference kernel.
#pragma once

#include <string>
#include <vector>

#include "engine/compile/program.h"

namespace dermatome {

// A host copy of what an operand points at.
Tensor host_copy(const Operand& operand, Device device);

// One line on stderr: step, kernel, milliseconds, shape and largest magnitude of the first output.
void trace_step(int index, const Step& step, Device device, double seconds);

// Writes the used outputs as <folder>/<index>_<name>[.<output>].npy.
void dump_step(const std::string& folder, int index, const Step& step, Device device);

// Runs the node's Reference kernel on the inputs as they were before the step and compares each used output. Throws
// Error naming the node, the output and the largest difference where they part by more than the type's tolerance
// (f32 1e-3, bf16 3e-2 of the output's largest magnitude; integers exactly).
void verify_step(const Node& node, const Step& step, const std::vector<Tensor>& inputs_before, Device device);

}  // namespace dermatome

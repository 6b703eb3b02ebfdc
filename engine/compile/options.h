// How a graph is compiled, and the debug switches that command lines and the environment set.
#pragma once

#include <string>
#include <vector>

#include "engine/core/device.h"
#include "engine/core/dtype.h"

namespace dermatome {

struct CompileOptions {
  DType activations = DType::f32;  // bf16: the pass bf16_activations applies the type policy
  std::vector<std::string> disabled_passes;
  bool planner = true;         // false: every value has memory of its own
  bool poison_arena = false;   // before each run the arena is filled with NaN patterns
  bool verify_nodes = false;   // after each node its results are compared with the Reference kernel's
  bool trace_nodes = false;    // one line a node on stderr, with time and largest magnitude
  std::string dump_tensors;    // folder that receives each node's outputs as .npy; empty: none
  bool deterministic = false;  // of a vendor's implementations only those that give the same bits every time
  bool tf32 = false;           // on CUDA f32 convolutions may round what they read to tf32
  bool capture = true;         // on CUDA a program's launches are recorded once and replayed as one
  bool second_branch = false;  // on CUDA steps that nobody waits for (weight gradients) run beside those that follow
  std::string plans;           // file of the plans that a run chose by timing, which it keeps; empty: only the user's
  std::string implementation;  // of the operations that have one of this name it alone is asked; empty: all, in order
  std::vector<std::string> disabled_kernels;  // implementations that are not asked, such as "winograd" or "onednn"

  bool pass_enabled(const std::string& name) const;
};

// Also DERMATOME_DETERMINISTIC, DERMATOME_TF32, DERMATOME_NO_CAPTURE and DERMATOME_SECOND_BRANCH. From
// DERMATOME_DISABLE_PASS and DERMATOME_DISABLE_KERNEL (names separated by commas), DERMATOME_DISABLE_PLANNER,
// DERMATOME_POISON_ARENA, DERMATOME_VERIFY_NODES, DERMATOME_TRACE_NODES (unset, empty or 0: off) and
// DERMATOME_DUMP_TENSORS. Throws UsageError for a pass or an implementation that does not exist.
CompileOptions options_from_environment();

// The type of activations that --type names. Throws UsageError where it is not offered on that device: bf16 on the
// reference, on processors without instructions for it, which would be slower with it, and on GPUs without them.
DType activation_type(const std::string& name, Device device);

// Throws UsageError, with the nearest name, for a pass that does not exist.
void disable_pass(CompileOptions& options, const std::string& name);

// Throws UsageError, with the nearest name, when no kernel has such an implementation.
void disable_kernel(CompileOptions& options, const std::string& name);

}  // namespace dermatome

// Where the time of a step goes, kernel by kernel, beside what the machine allows.
#pragma once

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include "tools/measurement/feeding.h"
#include "tools/measurement/machine_rates.h"
#include "tools/measurement/memory_profile.h"
#include "tools/measurement/step_bench.h"

namespace dermatome::measurement {

struct NodeProfile {
  int index = 0;        // in the order of execution, over all programs of the step
  std::string program;  // "step" or "update"
  std::string name;     // "layer2.0.conv1"
  std::string op;       // "conv2d"; in brackets what the compiler added: "(reorder)"
  std::string kernel;   // "onednn jit:avx512_core"
  std::string shape;    // of the first output
  double seconds = 0;   // median
  double fastest = 0;
  RunTimes::Span last;  // in the last run, counted from the beginning of the step; for the trace, not in the JSON
  Cost cost;            // of the operation, whatever way its kernel takes: GFLOP/s and GB/s count this
  Bound bound;          // of what the kernel executes (Kernel::work)
};

struct Profile {
  std::string model, mode, type, device, processor, instruction_set, version;
  int size = 0;
  int batch = 0;
  int threads = 0;
  int runs = 0;
  MachineRates rates;
  double wall = 0;  // median seconds of a step that runs without a look at the clock between kernels
  Feeding feeding;  // of training; zeros at inference
  std::size_t arena_bytes = 0;
  std::size_t arena_lower_bound_bytes = 0;  // the largest live set
  std::size_t peak_bytes = 0;               // of the process; on a GPU of all buffers there
  MemoryProfile memory;
  std::vector<NodeProfile> nodes;

  double kernel_seconds() const;  // of all nodes
  double bound_seconds() const;
};

// A step's names, cost and bound, without its times.
NodeProfile describe_step(const Program& program, const Step& step, const MachineRates& rates);

// Plain and timed steps take turns for about `seconds`, at least three of each.
Profile measure_profile(StepBench& bench, const MachineRates& rates, double seconds);

// Runs `count` nodes once more, from `from` on (numbered as in the profile of the same bench), alone and with the
// device's own profiler collecting: `ncu --profile-from-start off dermatome profile --from-node N --nodes 1` sees
// nothing else. Prepared copies, which belong to no step, are left out.
void run_collected(StepBench& bench, Device device, int from, int count);

nlohmann::json to_json(const Profile& profile);
// What to_json made. Throws Error naming the file when it cannot be read or is no profile.
Profile read_profile(const std::filesystem::path& path);

// Trace events for chrome://tracing and ui.perfetto.dev: the last run of a measured profile, one bar a kernel.
nlohmann::json chrome_trace(const Profile& profile);

// Tables of text. Kinds are nodes of one operation and kernel; the largest share comes first.
std::string summary_text(const Profile& profile);
std::string kinds_text(const Profile& profile);
// `sorted`: by time, the `count` largest; else in the order of execution.
std::string nodes_text(const Profile& profile, std::size_t count, bool sorted);
// What became faster and slower from `before` to `after`: the step, its operations, its nodes (the `count` largest).
std::string difference_text(const Profile& before, const Profile& after, std::size_t count);

}  // namespace dermatome::measurement

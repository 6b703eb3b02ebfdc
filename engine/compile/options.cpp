// Compile options from the environment.
#include "engine/compile/options.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "engine/compile/kernel.h"
#include "engine/compile/pass.h"
#include "engine/core/error.h"
#include "engine/core/suggest.h"
#include "engine/core/threads.h"

namespace dermatome {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool switched_on(const char* name) {
  const std::string value = variable(name);
  return !value.empty() && value != "0";
}

}  // namespace

bool CompileOptions::pass_enabled(const std::string& name) const {
  return std::find(disabled_passes.begin(), disabled_passes.end(), name) == disabled_passes.end();
}

DType activation_type(const std::string& name, Device device) {
  const DType type = parse_dtype(name);
  if (type == DType::f32) return type;
  if (type != DType::bf16) fail_usage("--type {} is not offered: f32 or bf16", name);
  if (device.kind == DeviceKind::reference)
    fail_usage("--type bf16 is not offered on the reference device, which computes in f32");
  if (device.kind == DeviceKind::cpu && !has_bf16_products()) {
    fail_usage(
        "--type bf16 needs a processor with AVX512-BF16 and would be slower than f32 on this one ({}); use --type f32",
        name_of(instruction_set()));
  }
  if (device.kind == DeviceKind::cuda) {
    const std::string why = backend_of(device.kind).why_no_bf16(device.index);
    if (!why.empty()) fail_usage("--type {}; use --type f32", why);
  }
  return type;
}

void disable_pass(CompileOptions& options, const std::string& name) {
  const std::vector<std::string> known = rewrite_names();
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    fail_usage("there is no pass '{}'{}", name, did_you_mean(name, known));
  }
  options.disabled_passes.push_back(name);
}

void disable_kernel(CompileOptions& options, const std::string& name) {
  std::vector<std::string> known;
  for (const KernelEntry& entry : kernel_entries()) known.push_back(entry.implementation);
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    fail_usage("no kernel has the implementation '{}'; there are {}", name, fmt::join(known, ", "));
  }
  options.disabled_kernels.push_back(name);
}

CompileOptions options_from_environment() {
  CompileOptions options;
  options.deterministic = switched_on("DERMATOME_DETERMINISTIC");
  options.tf32 = switched_on("DERMATOME_TF32");
  options.capture = !switched_on("DERMATOME_NO_CAPTURE");
  options.second_branch = switched_on("DERMATOME_SECOND_BRANCH");
  const auto for_each_name = [](const char* list_variable, const auto& apply) {
    std::stringstream list(variable(list_variable));
    for (std::string name; std::getline(list, name, ',');) {
      if (!name.empty()) apply(name);
    }
  };
  for_each_name("DERMATOME_DISABLE_PASS", [&](const std::string& name) { disable_pass(options, name); });
  for_each_name("DERMATOME_DISABLE_KERNEL", [&](const std::string& name) { disable_kernel(options, name); });
  options.planner = !switched_on("DERMATOME_DISABLE_PLANNER");
  options.poison_arena = switched_on("DERMATOME_POISON_ARENA");
  options.verify_nodes = switched_on("DERMATOME_VERIFY_NODES");
  options.trace_nodes = switched_on("DERMATOME_TRACE_NODES");
  options.dump_tensors = variable("DERMATOME_DUMP_TENSORS");
  return options;
}

}  // namespace dermatome

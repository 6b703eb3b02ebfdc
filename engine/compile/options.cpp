// Compile options from the environment.
#include "engine/compile/options.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "engine/compile/pass.h"
#include "engine/core/error.h"
#include "engine/core/suggest.h"

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

void disable_pass(CompileOptions& options, const std::string& name) {
  std::vector<std::string> known;
  for (const Rewrite* rewrite : all_rewrites()) known.push_back(rewrite->name);
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    fail_usage("there is no pass '{}'{}", name, did_you_mean(name, known));
  }
  options.disabled_passes.push_back(name);
}

CompileOptions options_from_environment() {
  CompileOptions options;
  std::stringstream list(variable("DERMATOME_DISABLE_PASS"));
  for (std::string name; std::getline(list, name, ',');) {
    if (!name.empty()) disable_pass(options, name);
  }
  options.planner = !switched_on("DERMATOME_DISABLE_PLANNER");
  options.poison_arena = switched_on("DERMATOME_POISON_ARENA");
  options.verify_nodes = switched_on("DERMATOME_VERIFY_NODES");
  options.trace_nodes = switched_on("DERMATOME_TRACE_NODES");
  options.dump_tensors = variable("DERMATOME_DUMP_TENSORS");
  return options;
}

}  // namespace dermatome

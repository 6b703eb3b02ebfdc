// Threads, instruction sets and memory limits as the operating system states them.
#include "engine/core/threads.h"

#include <omp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "engine/core/error.h"

namespace dermatome {
namespace {

int cores_by_affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

// cgroup v2 first, then v1; no file means no limit.
double cores_by_cgroup() {
  if (std::ifstream file("/sys/fs/cgroup/cpu.max"); file) {
    std::string quota;
    double period = 0;
    if (file >> quota >> period && quota != "max" && period > 0) return std::stod(quota) / period;
  }
  std::ifstream quota_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream period_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double quota = 0;
  double period = 0;
  if (quota_file >> quota && period_file >> period && quota > 0 && period > 0) return quota / period;
  return 1e9;
}

// Linux gives a process the tiles' registers only when it asks for them.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  if (!__builtin_cpu_supports("amx-tile") || !__builtin_cpu_supports("amx-bf16")) return false;
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

InstructionSet detect() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("x86-64-v2")) {
    fail("this processor lacks the x86-64-v2 instructions (SSE4.2), which dermatome needs");
  }
  if (!__builtin_cpu_supports("x86-64-v3")) return InstructionSet::v2;
  if (!__builtin_cpu_supports("x86-64-v4")) return InstructionSet::v3;
  if (!__builtin_cpu_supports("avx512bf16")) return InstructionSet::v4;
  return may_use_tiles() ? InstructionSet::v4_amx : InstructionSet::v4_bf16;
}

}  // namespace

int usable_cores() {
  const double quota = std::ceil(cores_by_cgroup() - 0.01);
  return std::max(1, static_cast<int>(std::min<double>(cores_by_affinity(), quota)));
}

void set_threads(int count) {
  if (count < 0 || count > 1024) fail_usage("--threads {} is outside 0 to 1024 (0: as many as there are cores)", count);
  omp_set_dynamic(0);
  omp_set_num_threads(count == 0 ? usable_cores() : count);
}

int threads() {
  return omp_get_max_threads();
}

std::string cpu_model_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    const auto colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

std::size_t cgroup_memory_left(const std::string& cgroup) {
  std::ifstream limit_file(cgroup + "/memory.max");
  std::ifstream used_file(cgroup + "/memory.current");
  std::string limit;
  std::size_t used = 0;
  if (limit_file >> limit && limit != "max" && used_file >> used) {
    // Copies of files count as used, but give way.
    std::ifstream stat_file(cgroup + "/memory.stat");
    std::string key;
    std::size_t value = 0;
    while (stat_file >> key >> value) {
      if (key == "inactive_file" || key == "active_file" || key == "slab_reclaimable") used -= std::min(used, value);
    }
    const std::size_t bytes = std::stoull(limit);
    return bytes > used ? bytes - used : 0;
  }
  return std::numeric_limits<std::size_t>::max();
}

std::string_view name_of(InstructionSet isa) {
  switch (isa) {
    case InstructionSet::v2: return "x86-64-v2";
    case InstructionSet::v3: return "x86-64-v3";
    case InstructionSet::v4: return "x86-64-v4";
    case InstructionSet::v4_bf16: return "x86-64-v4+bf16";
    case InstructionSet::v4_amx: return "x86-64-v4+amx";
  }
  return "?";
}

InstructionSet instruction_set() {
  static const InstructionSet chosen = [] {
    const InstructionSet best = detect();
    const char* wanted = std::getenv("DERMATOME_ISA");
    if (wanted == nullptr || *wanted == '\0') return best;
    for (const auto isa : {InstructionSet::v2, InstructionSet::v3, InstructionSet::v4, InstructionSet::v4_bf16,
                           InstructionSet::v4_amx}) {
      if (name_of(isa) != wanted) continue;
      if (isa > best) fail_usage("DERMATOME_ISA={} is more than this processor offers ({})", wanted, name_of(best));
      return isa;
    }
    fail_usage("DERMATOME_ISA={} is unknown (x86-64-v2, x86-64-v3, x86-64-v4, x86-64-v4+bf16 or x86-64-v4+amx)",
               wanted);
  }();
  return chosen;
}

bool has_bf16_products() {
  return instruction_set() >= InstructionSet::v4_bf16;
}

bool has_bf16_tiles() {
  return instruction_set() == InstructionSet::v4_amx;
}

std::size_t peak_resident_bytes() {
  std::ifstream file("/proc/self/status");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stoull(line.substr(6)) * 1024;
  }
  return 0;
}

}  // namespace dermatome

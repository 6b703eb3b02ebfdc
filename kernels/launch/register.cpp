// Registration of tables: picks the processor's instruction set when a kernel is made.
#include "kernels/launch/register.h"

#include <array>
#include <set>

#include "engine/core/threads.h"

namespace dermatome::launch {

CpuTableRegistrar::CpuTableRegistrar(const FunctionEntry* v2, const FunctionEntry* v3, const FunctionEntry* v4,
                                     const FunctionEntry* v4_bf16, std::string implementation, int priority) {
  const std::array<const FunctionEntry*, 5> tables{v2, v3, v4, v4_bf16, v4_bf16};  // in the order of InstructionSet
  std::set<std::string> seen;
  for (const FunctionEntry* entry = v2; entry->op != nullptr; ++entry) {
    const std::string op = entry->op;
    if (!seen.insert(op).second) continue;
    register_kernel({.op = op,
                     .device = DeviceKind::cpu,
                     .priority = priority,
                     .implementation = implementation,
                     .factory = [tables, op, implementation](const KernelRequest& request) -> std::unique_ptr<Kernel> {
                       const InstructionSet isa = instruction_set();
                       for (const auto* e = tables[static_cast<std::size_t>(isa)]; e->op != nullptr; ++e) {
                         if (e->op != op || e->type != request.type) continue;
                         auto kernel =
                             make_function_kernel(*e, request, fmt::format("{} {}", implementation, name_of(isa)));
                         if (kernel != nullptr) return kernel;
                       }
                       return nullptr;
                     }});
  }
}

ReferenceRegistrar::ReferenceRegistrar(std::initializer_list<FunctionEntry> entries) {
  for (const FunctionEntry& entry : entries) {
    register_kernel({.op = entry.op,
                     .device = DeviceKind::reference,
                     .priority = 0,
                     .implementation = "reference",
                     .factory = [entry](const KernelRequest& request) -> std::unique_ptr<Kernel> {
                       if (entry.type != request.type) return nullptr;
                       return make_function_kernel(entry, request, "reference");
                     }});
  }
}

}  // namespace dermatome::launch

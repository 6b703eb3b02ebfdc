// Registration of tables of kernel functions. Compiled once, for the baseline.
#pragma once

#include <initializer_list>

#include "engine/compile/kernel.h"
#include "kernels/launch/table.h"

namespace dermatome::launch {

// One table per instruction set, in the order of InstructionSet, each ended by a null op; the processor's is used.
// `implementation` and `priority` as in KernelEntry.
struct CpuTableRegistrar {
  CpuTableRegistrar(const FunctionEntry* v2, const FunctionEntry* v3, const FunctionEntry* v4,
                    const FunctionEntry* v4_bf16, std::string implementation, int priority);
};

struct ReferenceRegistrar {
  ReferenceRegistrar(std::initializer_list<FunctionEntry> entries);
};

}  // namespace dermatome::launch

// In a family's op.cpp: registers what a table of its cpu.cpp (or of a cpu_NAME.cpp) offers.
#define DERMATOME_REGISTER_CPU_TABLE(family) DERMATOME_REGISTER_CPU_TABLE_AS(family, "cpu", 0)
#define DERMATOME_REGISTER_CPU_TABLE_AS(table, implementation, priority)                                            \
  namespace dermatome {                                                                                             \
  extern const FunctionEntry cpu_table_##table##_v2[];                                                              \
  extern const FunctionEntry cpu_table_##table##_v3[];                                                              \
  extern const FunctionEntry cpu_table_##table##_v4[];                                                              \
  extern const FunctionEntry cpu_table_##table##_v4_bf16[];                                                         \
  static const launch::CpuTableRegistrar cpu_registrar_##table{cpu_table_##table##_v2, cpu_table_##table##_v3,      \
                                                               cpu_table_##table##_v4, cpu_table_##table##_v4_bf16, \
                                                               implementation,         priority};                   \
  }

// At the end of a family's reference.cpp, with both types of each function: DERMATOME_REFERENCE({"relu", DType::f32,
// f<float>}, ...)
#define DERMATOME_REFERENCE(...)                                                                             \
  static const ::dermatome::launch::ReferenceRegistrar DERMATOME_CONCAT(reference_registrar_, __COUNTER__) { \
    __VA_ARGS__                                                                                              \
  }

// Tables of kernel functions: how a family's cpu.cpp and reference.cpp offer them. Plain data only; see call.h.
#pragma once

#include "engine/compile/call.h"
#include "kernels/launch/host_device.h"

#define DERMATOME_TABLE_NAME_(family, isa) cpu_table_##family##_##isa
#define DERMATOME_TABLE_NAME(family, isa) DERMATOME_TABLE_NAME_(family, isa)

// At the end of a family's cpu.cpp: DERMATOME_CPU_TABLE(relu, {"relu", DType::f32, forward<float>}, ...)
#define DERMATOME_CPU_TABLE(family, ...)                                                                             \
  namespace dermatome {                                                                                              \
  extern const FunctionEntry DERMATOME_TABLE_NAME(family, DERMATOME_ISA)[];                                          \
  const FunctionEntry DERMATOME_TABLE_NAME(family, DERMATOME_ISA)[] = {__VA_ARGS__, {nullptr, DType::f32, nullptr}}; \
  }

// How many threads to use, and what this processor can do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dermatome {

// Cores that CPU affinity and the cgroup's quota leave to this process; at least 1.
int usable_cores();

// Sets the threads of OpenMP and so of oneDNN; 0 means usable_cores(). Throws UsageError below 0 or above 1024.
void set_threads(int count);
int threads();

std::string cpu_model_name();

// Bytes that the cgroup (version 2) still allows, or the largest std::size_t without a limit.
std::size_t cgroup_memory_left(const std::string& cgroup = "/sys/fs/cgroup");

// Instruction sets that CPU kernels are compiled for, in rising order.
// v4_amx runs the code of v4_bf16, which asks has_bf16_tiles() where it multiplies.
enum class InstructionSet : std::uint8_t { v2, v3, v4, v4_bf16, v4_amx };
std::string_view name_of(InstructionSet isa);  // "x86-64-v2" ... "x86-64-v4+bf16", "x86-64-v4+amx"

// The best of this processor, or less where DERMATOME_ISA asks for less. Throws Error below x86-64-v2.
InstructionSet instruction_set();

// Products of bf16 numbers in registers (AVX512-BF16), and of whole tiles of them (AMX, where the kernel lets us).
bool has_bf16_products();
bool has_bf16_tiles();

// The most memory this process has held so far, in bytes (VmHWM).
std::size_t peak_resident_bytes();

}  // namespace dermatome

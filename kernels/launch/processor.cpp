// Questions about the processor.
#include "kernels/launch/processor.h"

#include "engine/core/threads.h"

namespace dermatome::launch {

bool has_bf16_matrix_unit() {
#ifdef DERMATOME_ONEDNN
  return instruction_set() == InstructionSet::v4_bf16 && __builtin_cpu_supports("amx-bf16") != 0;
#else
  return false;
#endif
}

}  // namespace dermatome::launch

// Questions about the processor.
#include "kernels/launch/processor.h"

#include "engine/core/threads.h"

namespace dermatome::launch {

bool has_bf16_matrix_unit() {
  return has_bf16_tiles();
}

}  // namespace dermatome::launch

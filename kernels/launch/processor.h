// What kernels ask about the processor when several of them could serve.
#pragma once

namespace dermatome::launch {

// Whether convolutions in bf16 run on AMX here: through oneDNN, where the processor and the operating system offer it.
bool has_bf16_matrix_unit();

}  // namespace dermatome::launch

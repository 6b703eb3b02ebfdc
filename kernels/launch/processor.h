// What kernels ask about the processor when several of them could serve.
#pragma once

namespace dermatome::launch {

// Whether products of bf16 numbers can be had a tile at a time (AMX; tiles.h). The same as has_bf16_tiles() of
// engine/core/threads.h, for files that are compiled for one instruction set.
bool has_bf16_matrix_unit();

}  // namespace dermatome::launch

// Copies of strided rows on CUDA: what concat and slice are made of. Moved in units of up to 16 bytes.
#pragma once

#include "kernels/launch/cuda.cuh"

namespace dermatome::launch::cuda {

struct alignas(16) SixteenBytes {
  std::uint32_t part[4];
};

// Rows of `bytes` bytes that begin `from_step` and `to_step` bytes apart.
struct RowCopy {
  const void* from;
  void* to;
  Index rows, bytes, from_step, to_step;
};

// No lambda: one that runs on either side has another type in every file that includes this.
template <typename Unit>
struct CopyUnit {
  const Unit* from;
  Unit* to;
  Index from_step, to_step;
  DERMATOME_HD void operator()(Index row, Index i) const { to[row * to_step + i] = from[row * from_step + i]; }
};

template <typename Unit>
void copy_rows_in(const Call& call, const RowCopy& copy) {
  constexpr Index kUnit = sizeof(Unit);
  for_each_cell(call, copy.rows, copy.bytes / kUnit,
                CopyUnit<Unit>{static_cast<const Unit*>(copy.from), static_cast<Unit*>(copy.to), copy.from_step / kUnit,
                               copy.to_step / kUnit});
}

inline void copy_rows(const Call& call, const RowCopy& copy) {
  const auto address = [](const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); };
  const std::uintptr_t all = address(copy.from) | address(copy.to) | static_cast<std::uintptr_t>(copy.bytes) |
                             static_cast<std::uintptr_t>(copy.from_step) | static_cast<std::uintptr_t>(copy.to_step);
  if (all % 16 == 0) {
    copy_rows_in<SixteenBytes>(call, copy);
  } else if (all % 4 == 0) {
    copy_rows_in<std::uint32_t>(call, copy);
  } else {
    copy_rows_in<std::uint16_t>(call, copy);
  }
}

}  // namespace dermatome::launch::cuda

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

template <typename Unit>
void copy_rows_in(const Call& call, const RowCopy& copy) {
  constexpr Index kUnit = sizeof(Unit);
  const Unit* from = static_cast<const Unit*>(copy.from);
  Unit* to = static_cast<Unit*>(copy.to);
  const Index from_step = copy.from_step / kUnit;
  const Index to_step = copy.to_step / kUnit;
  for_each_cell(
      call, copy.rows, copy.bytes / kUnit,
      DERMATOME_LAMBDA(Index row, Index i) { to[row * to_step + i] = from[row * from_step + i]; });
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

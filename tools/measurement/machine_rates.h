// What this machine can do at best, measured in the same run as whatever is compared with it: absolute figures move
// from machine to machine and from hour to hour, shares of these rates much less.
#pragma once

#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "engine/graph/op.h"

namespace dermatome::measurement {

struct MachineRates {
  double copy = 0;        // bytes a second that a large copy moves on all threads, reading and writing counted
  double matrix_f32 = 0;  // FLOP/s of a large matrix product on all threads; 0 where no kernel computes one
  double matrix_bf16 = 0;
  double matrix(DType type) const;  // 0 for other types too
};

// Takes about `seconds` for the copy and for each matrix product. bf16 is measured where the device has it.
MachineRates measure_machine_rates(double seconds = 0.5, Device device = {});

// The shortest time that the roofline model allows (Williams, Waterman & Patterson 2009): what must move at the copy's
// rate, or what must be computed at the matrix rate of the type, whichever takes longer.
struct Bound {
  double seconds = 0;
  bool by_matrix = false;
};
Bound bound_of(const Cost& cost, DType type, const MachineRates& rates);

}  // namespace dermatome::measurement

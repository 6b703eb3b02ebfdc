// The learning-rate finder: trains for some steps at rising rates and puts everything back as it was.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "tools/training/rate_curve.h"
#include "tools/training/stage_runner.h"

namespace dermatome::training {

// Which photographs come in which order, and how they are augmented: those of this epoch of the run and the next.
struct SweepData {
  std::uint64_t seed = 0;
  int first_epoch = 0;
};

// Throws Error where the sweep takes the loss of a validation part that has no photographs.
void check_validation(const RateSweep& sweep, std::size_t photographs);

// Sweeps the rates of the stage that the runner runs: each group's keeps its ratio to the stage's lr. Steps are whole
// batches, from the start of the data again where they end. Weights, running statistics, the optimiser's state and
// everything else in the store come back bit for bit, also where `progress`, told of every step, throws.
RateCurve sweep_rates(StageRunner& runner, const StageSettings& stage, StateStore& store, const SweepData& data,
                      RateSweep sweep, const std::function<void(std::int64_t done, std::int64_t total)>& progress);

}  // namespace dermatome::training

// Plan: what a recipe will do and take on this machine, found out by a few steps of it; `train --dry-run` prints it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/graph/model.h"
#include "tools/training/stage_runner.h"
#include "tools/training/trainer.h"

namespace dermatome::training {

struct GroupRate {
  std::string group;  // empty where the model declares none
  bool frozen = false;
  double first = 0, peak = 0, last = 0;  // of the stage's steps
};

struct StagePlan {
  StageSettings settings;
  data::Preparation preparation;
  std::int64_t steps_per_epoch = 0;
  std::vector<GroupRate> rates;
  StageMemory memory;
  std::size_t resident_set = 0;    // bytes, of all photographs and masks
  bool on_device = true;           // where the photographs will lie while the stage trains
  std::string cache;               // what a cache holds of them and what would be added; empty without one
  double reading_seconds = 0;      // of all photographs
  std::int64_t finding_steps = 0;  // of the learning-rate finder
  std::int64_t validation_batches = 0;
  double training_seconds = 0;  // of an epoch's steps
  double validation_seconds = 0;
  double finding_seconds() const {
    double step = training_seconds / static_cast<double>(steps_per_epoch);
    if (settings.find.validation_loss && validation_batches > 0)
      step += validation_seconds / static_cast<double>(validation_batches);
    return step * static_cast<double>(finding_steps);
  }
  // Without reading, finding and checkpoints.
  double epoch_seconds() const { return training_seconds + validation_seconds; }
  double seconds() const { return reading_seconds + finding_seconds() + settings.epochs * epoch_seconds(); }
};

struct Plan {
  std::size_t program = 0;  // bytes that the process held before the first stage
  std::vector<StagePlan> stages;
  std::size_t checkpoint = 0;  // bytes of a file with the state

  // What the process will hold at most in that stage: while it is read, or while it trains.
  std::size_t peak(const StagePlan& stage) const;
};

// First, largest and last rate of every group over `steps` steps.
std::vector<GroupRate> rates_of(const StageSettings& stage, const std::vector<std::string>& groups, std::int64_t steps);

// Reads some photographs and runs a few steps and validation batches of every stage, on weights of its own. Writes
// nothing, given a cache that is open for reading only. Throws as train does where a stage does not fit into memory,
// the cache not onto its disk, or none of these photographs can be used.
Plan measure_plan(const Model& model, const TrainOptions& options, const TrainingData& data);

std::string to_text(const Plan& plan, const TrainingData& data);

}  // namespace dermatome::training

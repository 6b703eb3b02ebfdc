// StageRunner: the programs of one stage and one step or batch of them; training and the dry run share it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "engine/compile/chain.h"
#include "engine/compile/program.h"
#include "tools/training/checkpoint.h"
#include "tools/training/networks.h"
#include "tools/training/photographs.h"

namespace dermatome::training {

// What a stage holds in memory, in bytes.
struct StageMemory {
  std::size_t arenas = 0;           // of the compiled programs
  std::size_t states = 0;           // weights, running statistics, gradients, moments
  std::size_t prepared_copies = 0;  // of weights, in the layouts of kernels
};

class StageRunner {
 public:
  // Makes the optimiser's states and the gradients in the store, all zero, and averages that start at the weights;
  // those of an earlier stage are removed, but for the optimiser's where the stage keeps them. The store, which holds
  // the model's states, the model and the stage must outlive the runner.
  StageRunner(const Model& model, const StageSettings& stage, std::uint64_t seed, PhotographSet training,
              PhotographSet validation, Device device, const CompileOptions& options, StateStore& store);

  // All programs of an epoch over `training` photographs and of validating `validation`, those of short last batches
  // included. Throws Error naming the batch that would fit when the memory does not suffice.
  void compile(std::int64_t training, std::int64_t validation);

  // One step: accumulate and, if its loss is a number, update. On a GPU that records, a step of one batch is one
  // launch; there weights move whatever the loss is.
  double step(std::span<const std::uint32_t> samples, std::int64_t epoch, EpochSums& sums, const SchedulePoint& at,
              std::int64_t steps = 0, std::span<const std::uint32_t> upcoming = {});

  // Forward and backward passes of one step over these photographs, augmented as in that epoch of the run. Adds to the
  // sums; gives the step's loss. `upcoming`: the photographs of the next step, where they are known.
  double accumulate(std::span<const std::uint32_t> samples, std::int64_t epoch, EpochSums& sums,
                    std::span<const std::uint32_t> upcoming = {});
  // Moves the weights, at what the schedule makes of rates and momentum; the averages as behind `steps` steps of the
  // stage: young ones forget faster.
  void update(const SchedulePoint& at, std::int64_t steps = 0);
  // One batch of the validation part as it is.
  void validate(std::span<const std::uint32_t> samples, EpochSums& sums, std::span<const std::uint32_t> upcoming = {});

  const PhotographSet& training() const { return training_; }
  const PhotographSet& validation() const { return validation_; }
  StageMemory memory() const;

 private:
  Program& accumulate_program(std::int64_t batch, bool add);
  Program& update_program();
  Program& validation_program(std::int64_t batch);
  template <typename Make>
  Program& get(const std::string& key, std::int64_t batch, const Make& make);
  std::span<const std::uint32_t> first_batch(std::span<const std::uint32_t> samples) const;
  void bind_training_batch(Program& program, std::span<const std::uint32_t> batch, std::int64_t epoch, double divisor,
                           std::span<const std::uint32_t> upcoming);
  Program& bind_update(const SchedulePoint& at, std::int64_t steps);
  void bind_batch(Program& program, PhotographSet& part, std::span<const std::uint32_t> samples,
                  std::span<const float> tables, double divisor);

  const Model& model_;
  const StageSettings& stage_;
  std::uint64_t seed_;
  PhotographSet training_, validation_;
  Device device_;
  CompileOptions options_;
  StateStore& store_;
  StagePrograms training_programs_, validation_programs_;
  std::map<std::string, Program> programs_;
  std::map<std::int64_t, Chain> steps_;  // by batch
};

}  // namespace dermatome::training

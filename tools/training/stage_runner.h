// StageRunner: the programs of one stage and one step or batch of them; training and the dry run share it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/compile/chain.h"
#include "engine/compile/program.h"
#include "tools/training/checkpoint.h"
#include "tools/training/networks.h"
#include "tools/training/photographs.h"
#include "tools/training/small_inputs.h"

namespace dermatome::training {

// What a stage holds in memory, in bytes.
struct StageMemory {
  std::size_t arenas = 0;           // of the compiled programs
  std::size_t states = 0;           // weights, running statistics, gradients, moments
  std::size_t prepared_copies = 0;  // of weights, in the layouts of kernels
};

// One step: the photographs, what the schedule says, and how many steps of the stage lie behind it.
struct StepRequest {
  std::span<const std::uint32_t> samples;
  SchedulePoint at;
  std::int64_t steps = 0;
};

class StageRunner {
 public:
  // Makes the optimiser's states and the gradients in the store, all zero, and averages that start at the weights;
  // those of an earlier stage are removed, but for the optimiser's where the stage keeps them. The store, which holds
  // the model's states, the model and the stage must outlive the runner. `steps_per_launch`: how many steps a GPU that
  // records runs behind one launch, where steps() is given so many.
  StageRunner(const Model& model, const StageSettings& stage, std::uint64_t seed, PhotographSet training,
              PhotographSet validation, Device device, const CompileOptions& options, StateStore& store,
              int steps_per_launch = 1);

  // All programs of an epoch over `training` photographs and of validating `validation`, those of short last batches
  // included. Throws Error naming the batch that would fit when the memory does not suffice for all of them; the runner
  // is of no use then.
  void compile(std::int64_t training, std::int64_t validation);

  // How many steps of one full batch each can run behind one launch: `steps_per_launch`, or 1 on the CPU, where steps
  // accumulate, and where photographs must be brought over for each step.
  int steps_at_once() const;

  // Steps one behind the other: each accumulates and, if its loss is a number, updates. `told` hears of each one's loss
  // when its sums are added. On a GPU that records, a step of one batch is one launch, and so are steps_at_once() full
  // ones; there weights move whatever the losses are. `upcoming`: the photographs of the step behind the last, where
  // they are known.
  void steps(std::span<const StepRequest> requests, std::int64_t epoch, EpochSums& sums,
             std::span<const std::uint32_t> upcoming, const std::function<void(double loss)>& told);
  double step(const StepRequest& request, std::int64_t epoch, EpochSums& sums,
              std::span<const std::uint32_t> upcoming = {});

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
  // How long the device was at work in all steps so far, by a GPU's own clock; the rest of their time it waited.
  double device_seconds() const { return device_seconds_; }

 private:
  Program& accumulate_program(std::int64_t batch, bool add);
  Program& update_program();
  Program& validation_program(std::int64_t batch);
  template <typename Make>
  Program& get(const std::string& key, const Make& make);
  [[noreturn]] void refuse(const OutOfMemory& error);
  std::span<const std::uint32_t> first_batch(std::span<const std::uint32_t> samples) const;
  std::vector<float> tables_of(std::span<const std::uint32_t> batch, std::int64_t epoch) const;
  void bind_training_batch(Program& program, std::span<const std::uint32_t> batch, std::int64_t epoch,
                           double photographs, std::span<const std::uint32_t> upcoming);
  std::vector<std::pair<std::string, std::vector<float>>> update_inputs(const SchedulePoint& at,
                                                                        std::int64_t steps) const;
  Program& bind_update(const SchedulePoint& at, std::int64_t steps);
  void make_inputs();
  void make_several();
  void run(Program& program);
  void bind_batch(Program& program, PhotographSet& part, std::span<const std::uint32_t> samples,
                  std::span<const float> tables, double photographs);
  void set_divisor(Program& program, double photographs);

  const Model& model_;
  const StageSettings& stage_;
  std::uint64_t seed_;
  PhotographSet training_, validation_;
  Device device_;
  CompileOptions options_;
  StateStore& store_;
  StagePrograms training_programs_, validation_programs_;
  SmallInputs small_;
  double device_seconds_ = 0;
  std::map<std::string, Program> programs_;
  std::map<std::int64_t, Chain> steps_;                          // by batch
  std::int64_t photographs_to_train_, photographs_to_validate_;  // of an epoch
  int steps_per_launch_;
  std::optional<Chain> several_;        // steps_per_launch_ of them
  std::map<std::string, Tensor> rows_;  // what they read and leave, by the name of the program's input or output
};

}  // namespace dermatome::training

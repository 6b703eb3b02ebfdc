// What a stage takes of its device, found out before it takes it, and what would fit where that is too much.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>

#include "engine/core/error.h"
#include "tools/training/networks.h"
#include "tools/training/trainer.h"

namespace dermatome::training {

// The batches of an epoch, each kind once, short last ones included.
struct EpochBatches {
  std::set<std::pair<std::int64_t, bool>> training;  // photographs, and whether their gradients are added to others
  std::set<std::int64_t> validation;
};
EpochBatches batches_of(std::int64_t batch, std::int64_t accumulate, std::int64_t training, std::int64_t validation);

// Of all programs of such an epoch with `batch` photographs at once: arenas, outputs, and copies of weights beyond
// those that are held already. Makes their kernels, as compiling does, and takes no memory for their values.
std::size_t bytes_of_programs(const StagePrograms& programs, std::int64_t batch, std::int64_t training,
                              std::int64_t validation, std::size_t copies_held);

// A batch below `batch`, which needs more than is available, that does not; 0 where none does. `needs` rises with the
// batch, nearly as a straight line.
std::int64_t batch_that_fits(std::int64_t batch, std::size_t available,
                             const std::function<std::size_t(std::int64_t batch)>& needs);
// The same of sides, multiples of `divisor`, of which `needs` rises with the square.
std::int64_t size_that_fits(std::int64_t size, std::int64_t divisor, std::size_t available,
                            const std::function<std::size_t(std::int64_t size)>& needs);

// What is needed of the device and left there; the error's own numbers where all that is needed seems to fit.
std::string out_of_memory_text(Device device, std::size_t needed, std::size_t available, const OutOfMemory& error);

// What to do where programs do not fit, as the end of a sentence: "--batch 3 would fit". `batch_option`: how a batch is
// chosen, "--batch " or "batch="; empty where it cannot be. The same of the size.
struct FitOptions {
  std::string batch_option, size_option;
  std::int64_t batch = 1, size = 1, divisor = 1;
};
std::string what_would_fit(const FitOptions& options, std::size_t available,
                           const std::function<std::size_t(std::int64_t batch, std::int64_t size)>& needs);

// Throws Error in one sentence for the first of the stages `first` to `last` - 1 that does not fit into what the device
// has left: photographs, the optimiser's states, gradients, averages and all programs together. The store holds what
// is there before the first of them. A stage's own programs are not compiled but planned, which takes as long as
// making their kernels.
void check_stages(const Model& model, const TrainOptions& options, const TrainingData& data, const StateStore& store,
                  std::size_t first, std::size_t last);

// What `set_up` gives. Memory that it cannot have ends in one sentence: for what, what was asked, what is left, what to
// do.
template <typename SetUp>
auto with_advice(const std::string& what, const std::string& advice, const SetUp& set_up) {
  try {
    return set_up();
  } catch (const OutOfMemory& error) {
    fail("{}: {}; {}", what, error.what(), advice);
  }
}

// The advice for photographs, and for states, of which the batch changes nothing.
std::string advice_for_photographs(Device device, bool on_device);
std::string advice_for_states(Device device, bool photographs_on_device);

}  // namespace dermatome::training

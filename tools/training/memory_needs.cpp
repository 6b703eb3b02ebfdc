// Planning programs, and searching for what fits.
#include "tools/training/memory_needs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/compile/program.h"

namespace dermatome::training {
namespace {

constexpr std::size_t kPhotographBytes = 4;  // of a pixel: three colours and the mask

std::size_t bytes_of_photographs(std::size_t count, std::int64_t size) {
  return count * kPhotographBytes * static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
}

// States that the stage makes and the store does not hold.
std::size_t bytes_of_states(const StagePrograms& programs, const StateStore& store) {
  std::size_t sum = 0;
  for (const auto& states : {optimizer_states(programs), gradient_states(programs), average_states(programs)}) {
    for (const auto& state : states) sum += store.contains(state.name) ? 0 : state.desc.bytes();
  }
  return sum;
}

// What one stage needs, by batch and by where the photographs lie.
struct StageNeeds {
  const StagePrograms& programs;
  Device device;
  std::size_t training, validation;  // photographs
  std::size_t states;
  std::size_t copies_held;

  std::size_t bytes(std::int64_t batch, bool photographs_on_device) const {
    const std::size_t of_programs = bytes_of_programs(programs, batch, static_cast<std::int64_t>(training),
                                                      static_cast<std::int64_t>(validation), copies_held);
    const std::int64_t size = programs.stage.size;
    const std::size_t all = bytes_of_photographs(training + validation, size);
    // They are read into one place and copied to another, before programs are compiled.
    if (backend_of(device.kind).host_addressable()) return states + all + std::max(all, of_programs);
    if (photographs_on_device) return states + all + of_programs;
    const auto most = static_cast<std::size_t>(batch);
    const std::size_t rows = std::min(most, training) + std::min(most, validation);
    return states + 2 * bytes_of_photographs(rows, size) + of_programs;
  }
};

void check_host(const TrainingData& data, const StageSettings& stage, const std::string& where) {
  const std::size_t needed = 2 * bytes_of_photographs(data.train.size() + data.validation.size(), stage.size);
  const std::size_t available = backend_of(DeviceKind::cpu).available_bytes(0);
  if (needed <= available) return;
  fail("the photographs of {}, read in the host's memory: {}; take a smaller size", where,
       OutOfMemory(needed, available).what());
}

void check_stage(const Model& model, const TrainOptions& options, const TrainingData& data, const StateStore& store,
                 std::size_t index) {
  const StageSettings& stage = options.recipe.stages[index];
  const std::size_t photographs = data.train.size() + data.validation.size();
  const std::string where = options.recipe.stages.size() > 1
                                ? fmt::format("stage {}, {} px with batch {}", index + 1, stage.size, stage.batch)
                                : fmt::format("{} px with batch {}", stage.size, stage.batch);
  const bool gpu = !backend_of(options.device.kind).host_addressable();
  if (gpu) check_host(data, stage, where);
  const bool on_device =
      lie_on_device(options.residence, bytes_of_photographs(photographs, stage.size), options.device);
  // The rows of images and masks are bound, so that their number changes nothing.
  const StagePrograms programs{.model = model,
                               .stage = stage,
                               .resident = static_cast<std::int64_t>(std::max<std::size_t>(1, data.train.size())),
                               .compile = options.compile,
                               .device = options.device};
  const StageNeeds needs{.programs = programs,
                         .device = options.device,
                         .training = data.train.size(),
                         .validation = data.validation.size(),
                         .states = bytes_of_states(programs, store),
                         .copies_held = store.prepared_bytes()};
  const std::size_t available = backend_of(options.device.kind).available_bytes(options.device.index);
  const std::size_t needed = needs.bytes(stage.batch, on_device);
  if (needed <= available) return;
  const auto fits =
      batch_that_fits(stage.batch, available, [&](std::int64_t batch) { return needs.bytes(batch, on_device); });
  std::string advice =
      fits >= 1 ? fmt::format("batch={} would fit", fits) : "not even batch=1 fits, take a smaller size";
  if (gpu && on_device && needs.bytes(stage.batch, false) <= available) {
    advice = fits >= 1 ? advice + ", and so would --photographs host" : "--photographs host would fit";
  }
  fail("{}: {}; {}", where,
       OutOfMemory(needed, available, gpu ? " on " + to_string(options.device) : std::string()).what(), advice);
}

// The largest number of `unit`s up to `most` that fits: guessed from what the last two needed, nearly a straight line.
std::int64_t search_fitting(std::int64_t most, std::size_t available,
                            const std::function<std::size_t(std::int64_t)>& needs) {
  std::int64_t at = most + 1;
  double above = static_cast<double>(needs(at));
  double slope = above / static_cast<double>(at);
  while (at > 1) {
    const double guess = static_cast<double>(at) - (above - static_cast<double>(available)) / std::max(slope, 1.0);
    const std::int64_t next = std::clamp(static_cast<std::int64_t>(std::floor(guess)), std::int64_t{1}, at - 1);
    const std::size_t needed = needs(next);
    if (needed <= available) return next;
    slope = (above - static_cast<double>(needed)) / static_cast<double>(at - next);
    above = static_cast<double>(needed);
    at = next;
  }
  return 0;
}

}  // namespace

EpochBatches batches_of(std::int64_t batch, std::int64_t accumulate, std::int64_t training, std::int64_t validation) {
  EpochBatches batches;
  const auto add_step = [&](std::int64_t left) {
    for (bool add = false; left > 0; add = true) {
      batches.training.emplace(std::min(batch, left), add);
      left -= std::min(batch, left);
    }
  };
  add_step(std::min(batch * accumulate, training));
  add_step(training % (batch * accumulate));
  if (validation > 0) batches.validation.insert(std::min(batch, validation));
  if (validation % batch > 0) batches.validation.insert(validation % batch);
  return batches;
}

std::size_t bytes_of_programs(const StagePrograms& programs, std::int64_t batch, std::int64_t training,
                              std::int64_t validation, std::size_t copies_held) {
  ProgramNeeds all;
  const auto add = [&](Graph graph) { all.add(Program::needs(std::move(graph), programs.device, programs.compile)); };
  const EpochBatches batches = batches_of(batch, programs.stage.accumulate, training, validation);
  for (const auto& [images, adds] : batches.training) add(accumulate_graph(programs, images, adds));
  for (const std::int64_t images : batches.validation) add(validation_graph(programs, images));
  add(update_graph(programs));
  const std::size_t copies = all.prepared_bytes();
  return all.memory.arena + all.outputs + copies - std::min(copies, copies_held);
}

std::int64_t batch_that_fits(std::int64_t batch, std::size_t available,
                             const std::function<std::size_t(std::int64_t)>& needs) {
  return batch > 1 ? search_fitting(batch - 1, available, needs) : 0;
}

std::int64_t size_that_fits(std::int64_t size, std::int64_t divisor, std::size_t available,
                            const std::function<std::size_t(std::int64_t)>& needs) {
  // By the square of the side, so that what is searched rises as a line.
  std::int64_t side = size / divisor;
  std::size_t needed = needs(size);
  while (needed > available && side > 1) {
    const double scaled =
        static_cast<double>(side) * std::sqrt(static_cast<double>(available) / static_cast<double>(needed));
    side = std::clamp(static_cast<std::int64_t>(scaled), std::int64_t{1}, side - 1);
    needed = needs(side * divisor);
  }
  return needed <= available ? side * divisor : 0;
}

std::string out_of_memory_text(Device device, std::size_t needed, std::size_t available, const OutOfMemory& error) {
  if (needed <= available) return error.what();
  const bool gpu = !backend_of(device.kind).host_addressable();
  return OutOfMemory(needed, available, gpu ? " on " + to_string(device) : std::string()).what();
}

std::string what_would_fit(const FitOptions& options, std::size_t available,
                           const std::function<std::size_t(std::int64_t, std::int64_t)>& needs) {
  const bool choose_batch = !options.batch_option.empty() && options.batch > 1;
  if (choose_batch) {
    const auto fits =
        batch_that_fits(options.batch, available, [&](std::int64_t batch) { return needs(batch, options.size); });
    if (fits >= 1) return fmt::format("{}{} would fit", options.batch_option, fits);
  }
  const std::int64_t batch = choose_batch ? 1 : options.batch;
  if (!options.size_option.empty()) {
    const auto fits =
        size_that_fits(options.size, options.divisor, available, [&](std::int64_t size) { return needs(batch, size); });
    const std::string with = choose_batch ? fmt::format(" with {}1", options.batch_option) : "";
    if (fits >= 1) return fmt::format("{}{}{} would fit", options.size_option, fits, with);
  }
  return "it takes a device with more memory";
}

void check_stages(const Model& model, const TrainOptions& options, const TrainingData& data, const StateStore& store,
                  std::size_t first, std::size_t last) {
  for (std::size_t stage = first; stage < last; ++stage) check_stage(model, options, data, store, stage);
}

std::string advice_for_photographs(Device device, bool on_device) {
  if (backend_of(device.kind).host_addressable()) return "take a smaller size";
  return on_device ? "take --photographs host or a smaller size" : "take a smaller batch or size";
}

std::string advice_for_states(Device device, bool photographs_on_device) {
  const bool gpu = !backend_of(device.kind).host_addressable();
  if (gpu && photographs_on_device) return "take --photographs host, or freeze groups of parameters";
  return gpu ? "freeze groups of parameters, or take --device cpu"
             : "freeze groups of parameters, or a smaller network";
}

}  // namespace dermatome::training

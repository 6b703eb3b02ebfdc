// Measuring and printing a plan.
#include "tools/training/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

#include "data/resident_set.h"
#include "engine/core/error.h"
#include "engine/core/threads.h"
#include "tools/training/live_view.h"

namespace dermatome::training {
namespace {

using Clock = std::chrono::steady_clock;

template <typename Work>
double seconds_of(const Work& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Enough photographs to time their reading, and at most a step's.
constexpr std::size_t kSomePhotographs = 16;

std::vector<data::Sample> first_of(const std::vector<data::Sample>& samples, std::size_t count) {
  return {samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(std::min(count, samples.size()))};
}

// `count` indices below `available`, again from the start where they do not suffice.
std::vector<std::uint32_t> indices(std::size_t count, std::int64_t available) {
  std::vector<std::uint32_t> result(count);
  for (std::size_t i = 0; i < count; ++i)
    result[i] = static_cast<std::uint32_t>(static_cast<std::int64_t>(i) % available);
  return result;
}

struct SomePhotographs {
  ResidentTensors training, validation;
  double seconds_each = 0;
};

SomePhotographs read_some(const TrainOptions& options, const TrainingData& data, const StageSettings& stage) {
  SomePhotographs result;
  std::size_t read = 0;
  double seconds = 0;
  const auto read_part = [&](const std::vector<data::Sample>& samples) {
    data::ResidentSet set;
    seconds += seconds_of([&] { set = data::load_resident_set(samples, stage.size, {.skip_bad = options.skip_bad}); });
    read += samples.size();
    return resident_tensors(set.images, set.masks, stage.size, options.device);
  };
  const auto wanted = std::min(kSomePhotographs, static_cast<std::size_t>(stage.batch));
  result.training = read_part(first_of(data.train, wanted));
  if (!data.validation.empty()) result.validation = read_part(first_of(data.validation, wanted));
  result.seconds_each = seconds / static_cast<double>(read);
  return result;
}

// One step before the watch starts, then some.
void time_steps(StageRunner& runner, const StageSettings& stage, std::size_t images, StagePlan& plan) {
  const auto per_step = static_cast<std::size_t>(stage.batch) * static_cast<std::size_t>(stage.accumulate);
  const auto samples = indices(std::min(per_step, images), runner.training().count);
  EpochSums sums;
  const auto step = [&] {
    runner.accumulate(samples, 0, sums);
    runner.update(schedule_factor(stage.schedule, 0, plan.steps_per_epoch * stage.epochs));
  };
  step();
  std::vector<double> times;
  for (double all = 0; times.size() < 2 || (all < 1 && times.size() < 50); all += times.back())
    times.push_back(seconds_of(step));
  plan.step_seconds = median(times);
  plan.steps_timed = static_cast<int>(times.size());
}

double time_validation(StageRunner& runner, const StageSettings& stage, std::size_t images) {
  if (images == 0) return 0;
  const auto samples = indices(std::min(static_cast<std::size_t>(stage.batch), images), runner.validation().count);
  EpochSums sums;
  runner.validate(samples, sums);
  const double seconds = seconds_of([&] { runner.validate(samples, sums); });
  return seconds * static_cast<double>(images) / static_cast<double>(samples.size());
}

StagePlan measure_stage(const Model& model, const StageSettings& stage, const TrainOptions& options,
                        const TrainingData& data, StateStore& store) {
  const std::size_t per_step = static_cast<std::size_t>(stage.batch) * static_cast<std::size_t>(stage.accumulate);
  const std::size_t photographs = data.train.size() + data.validation.size();
  StagePlan plan{
      .settings = stage,
      .steps_per_epoch = static_cast<std::int64_t>((data.train.size() + per_step - 1) / per_step),
      .resident_set = photographs * 4 * static_cast<std::size_t>(stage.size) * static_cast<std::size_t>(stage.size)};
  plan.rates = rates_of(stage, model.groups(), plan.steps_per_epoch * stage.epochs);
  SomePhotographs some = read_some(options, data, stage);
  plan.reading_seconds = some.seconds_each * static_cast<double>(photographs);
  StageRunner runner(model, stage, options.recipe.seed, std::move(some.training), std::move(some.validation),
                     options.device, options.compile, store);
  runner.compile(static_cast<std::int64_t>(data.train.size()));
  time_steps(runner, stage, data.train.size(), plan);
  plan.validation_seconds = time_validation(runner, stage, data.validation.size());
  plan.memory = runner.memory();
  return plan;
}

std::string mib(std::size_t bytes) {
  return fmt::format("{:.0f} MiB", static_cast<double>(bytes) / 1048576.0);
}

std::string stage_text(const Plan& plan, std::size_t index) {
  const StagePlan& stage = plan.stages[index];
  const StageSettings& settings = stage.settings;
  std::string text =
      fmt::format("stage {}: {} px, batch {}{}, {} epochs of {} steps, batch norm {}\n", index + 1, settings.size,
                  settings.batch, settings.accumulate > 1 ? fmt::format(" x {}", settings.accumulate) : "",
                  settings.epochs, stage.steps_per_epoch, settings.batch_norm);
  for (const auto& rate : stage.rates) {
    const std::string group = rate.group.empty() ? "all" : rate.group;
    text += rate.frozen ? fmt::format("  {:<14} frozen\n", group)
                        : fmt::format("  {:<14} rate {:.3g} first, {:.3g} largest, {:.3g} last ({})\n", group,
                                      rate.first, rate.peak, rate.last, settings.schedule.name);
  }
  text += fmt::format("  memory         about {} at most: arenas {}, states {}, copies of weights {}, photographs {}\n",
                      mib(plan.peak(stage)), mib(stage.memory.arenas), mib(stage.memory.states),
                      mib(stage.memory.prepared_copies), mib(stage.resident_set));
  text += fmt::format(
      "  time           about {}: reading {}, an epoch {} (a step {:.3g} s, median of {}; validating {})\n",
      duration_text(stage.seconds()), duration_text(stage.reading_seconds), duration_text(stage.epoch_seconds()),
      stage.step_seconds, stage.steps_timed, duration_text(stage.validation_seconds));
  return text;
}

}  // namespace

std::size_t Plan::peak(const StagePlan& stage) const {
  // The set is read into host memory and then copied to the device, before programs are compiled.
  const std::size_t training = stage.memory.arenas + stage.memory.prepared_copies;
  return program + stage.memory.states + stage.resident_set + std::max(stage.resident_set, training);
}

std::vector<GroupRate> rates_of(const StageSettings& stage, const std::vector<std::string>& groups,
                                std::int64_t steps) {
  double peak = 0;
  for (std::int64_t step = 0; step < steps; ++step) peak = std::max(peak, schedule_factor(stage.schedule, step, steps));
  const double first = schedule_factor(stage.schedule, 0, steps);
  const double last = schedule_factor(stage.schedule, steps - 1, steps);
  std::vector<GroupRate> rates;
  const auto add = [&](const std::string& group, double rate) {
    rates.push_back({.group = group,
                     .frozen = std::find(stage.frozen.begin(), stage.frozen.end(), group) != stage.frozen.end(),
                     .first = rate * first,
                     .peak = rate * peak,
                     .last = rate * last});
  };
  for (const auto& group : groups) add(group, stage.rate_of(group));
  if (groups.empty()) add("", stage.lr);
  return rates;
}

Plan measure_plan(const Model& model, const TrainOptions& options, const TrainingData& data) {
  Plan plan{.program = peak_resident_bytes()};
  StateStore store(options.device);
  store.create(states_of(model, DType::f32), options.recipe.seed);
  for (const auto& stage : options.recipe.stages)
    plan.stages.push_back(measure_stage(model, stage, options, data, store));
  return plan;
}

std::string to_text(const Plan& plan, const TrainingData& data) {
  std::string text =
      fmt::format("{} photographs to train on, {} to validate\n", data.train.size(), data.validation.size());
  double seconds = 0;
  std::size_t peak = 0;
  std::int64_t epochs = 0, steps = 0;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const StagePlan& stage = plan.stages[i];
    text += stage_text(plan, i);
    seconds += stage.seconds();
    peak = std::max(peak, plan.peak(stage));
    epochs += stage.settings.epochs;
    steps += stage.settings.epochs * stage.steps_per_epoch;
  }
  return text + fmt::format(
                    "in all: {} epochs, {} steps, about {} and {} of memory; measured here with {} threads, "
                    "without the writing of checkpoints\n",
                    epochs, steps, duration_text(seconds), mib(peak), threads());
}

}  // namespace dermatome::training

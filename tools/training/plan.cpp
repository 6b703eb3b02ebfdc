// Measuring and printing a plan.
#include "tools/training/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "data/cache.h"
#include "data/resident_set.h"
#include "engine/core/threads.h"
#include "tools/measurement/statistics.h"
#include "tools/training/live_view.h"
#include "tools/training/memory_needs.h"
#include "tools/training/rate_finder.h"

namespace dermatome::training {
namespace {

using Clock = std::chrono::steady_clock;

template <typename Work>
double seconds_of(const Work& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Enough to time the reading of one kind, whether of files or from a cache.
constexpr std::size_t kSomePhotographs = 16;

// Spread over all of them: files in one place of a folder tend to be of one size.
std::vector<data::Sample> spread(const std::vector<data::Sample>& samples) {
  const std::size_t count = std::min(kSomePhotographs, samples.size());
  std::vector<data::Sample> result;
  for (std::size_t i = 0; i < count; ++i) result.push_back(samples[i * samples.size() / count]);
  return result;
}

// `count` indices below `available`, again from the start where they do not suffice.
std::vector<std::uint32_t> indices(std::size_t count, std::int64_t available) {
  std::vector<std::uint32_t> result(count);
  for (std::size_t i = 0; i < count; ++i)
    result[i] = static_cast<std::uint32_t>(static_cast<std::int64_t>(i) % available);
  return result;
}

struct SomePhotographs {
  std::vector<std::uint8_t> images, masks;
  double seconds_of_all = 0;
};

// Those that the cache holds and those that it does not are read and timed each for themselves.
SomePhotographs read_some(const TrainOptions& options, const std::vector<data::Sample>& samples,
                          const data::Preparation& preparation) {
  std::vector<data::Sample> cached, others;
  for (const auto& sample : samples) {
    const bool is_cached =
        options.cache != nullptr && options.cache->plan(std::span(&sample, 1), preparation).present == 1;
    (is_cached ? cached : others).push_back(sample);
  }
  SomePhotographs result;
  for (const auto* kind : {&cached, &others}) {
    if (kind->empty()) continue;
    const auto some = spread(*kind);
    data::ResidentSet set;
    const double seconds = seconds_of([&] {
      set = data::load_resident_set(some, preparation, {.cache = options.cache, .skip_bad = options.skip_bad});
    });
    result.seconds_of_all += seconds * static_cast<double>(kind->size()) / static_cast<double>(some.size());
    result.images.insert(result.images.end(), set.images.begin(), set.images.end());
    result.masks.insert(result.masks.end(), set.masks.begin(), set.masks.end());
  }
  return result;
}

// Runs once before the watch starts, then at least twice, for a second or 50 times.
template <typename Work>
std::vector<double> times_of(const Work& work) {
  work();
  std::vector<double> times;
  for (double all = 0; times.size() < 2 || (all < 1 && times.size() < 50); all += times.back())
    times.push_back(seconds_of(work));
  return times;
}

// Of as many batches as `images` fill, a short last one included.
template <typename RunBatch>
double seconds_of_batches(std::size_t images, std::size_t batch, const RunBatch& run_batch) {
  double seconds = 0;
  if (images >= batch)
    seconds += static_cast<double>(images / batch) * measurement::median(times_of([&] { run_batch(batch); }));
  if (const auto rest = images % batch; rest > 0) seconds += measurement::median(times_of([&] { run_batch(rest); }));
  return seconds;
}

void time_epoch(StageRunner& runner, const StageSettings& stage, std::size_t training, std::size_t validation,
                StagePlan& plan) {
  const auto batch = static_cast<std::size_t>(stage.batch);
  EpochSums sums;
  const auto step = [&](std::size_t images) {
    runner.accumulate(indices(images, runner.training().count()), 0, sums);
    runner.update(schedule_at(stage.schedule, 0, plan.steps_per_epoch * stage.epochs));
  };
  plan.training_seconds = seconds_of_batches(training, batch * static_cast<std::size_t>(stage.accumulate), step);
  plan.validation_seconds = seconds_of_batches(validation, batch, [&](std::size_t images) {
    runner.validate(indices(images, runner.validation().count()), sums);
  });
}

StagePlan measure_stage(const Model& model, const StageSettings& stage, const TrainOptions& options,
                        const TrainingData& data, StateStore& store) {
  std::vector<data::Sample> samples = data.train;
  samples.insert(samples.end(), data.validation.begin(), data.validation.end());
  StagePlan plan{
      .settings = stage,
      .preparation = options.recipe.preparation(stage),
      .steps_per_epoch = stage.steps_of_epoch(static_cast<std::int64_t>(data.train.size())),
      .resident_set = samples.size() * 4 * static_cast<std::size_t>(stage.size) * static_cast<std::size_t>(stage.size)};
  if (stage.find_lr) {
    check_validation(stage.find, data.validation.size());
    plan.finding_steps = stage.find.steps_where_an_epoch_has(plan.steps_per_epoch);
    plan.validation_batches = (static_cast<std::int64_t>(data.validation.size()) + stage.batch - 1) / stage.batch;
  }
  plan.rates = rates_of(stage, model.groups(), plan.steps_per_epoch * stage.epochs);
  if (options.cache != nullptr)
    plan.cache =
        data::plan_sentence(options.cache->plan(samples, plan.preparation), options.cache->folder(), plan.preparation);
  const SomePhotographs some = read_some(options, samples, plan.preparation);
  plan.reading_seconds = some.seconds_of_all;
  plan.on_device = lie_on_device(options.residence, plan.resident_set, options.device);
  const auto part = [&] {
    return PhotographSet(some.images, some.masks, stage.size, options.device, plan.on_device, stage.batch);
  };
  StageRunner runner(model, stage, options.recipe.seed, part(), part(), options.device, options.compile, store);
  runner.compile(static_cast<std::int64_t>(data.train.size()), static_cast<std::int64_t>(data.validation.size()));
  time_epoch(runner, stage, data.train.size(), data.validation.size(), plan);
  plan.memory = runner.memory();
  return plan;
}

std::string mib(std::size_t bytes) {
  return fmt::format("{:.0f} MiB", static_cast<double>(bytes) / 1048576.0);
}

std::string stage_text(const Plan& plan, std::size_t index) {
  const StagePlan& stage = plan.stages[index];
  const StageSettings& settings = stage.settings;
  std::string text = fmt::format("stage {}: {}, batch {}{}, {} epochs of {} steps, batch norm {}, loss {}\n", index + 1,
                                 data::to_text(stage.preparation), settings.batch,
                                 settings.accumulate > 1 ? fmt::format(" x {}", settings.accumulate) : "",
                                 settings.epochs, stage.steps_per_epoch, settings.batch_norm, loss_text(settings.loss));
  for (const auto& rate : stage.rates) {
    const std::string group = rate.group.empty() ? "all" : rate.group;
    text += rate.frozen ? fmt::format("  {:<14} frozen\n", group)
                        : fmt::format("  {:<14} rate {:.3g} first, {:.3g} largest, {:.3g} last ({}{})\n", group,
                                      rate.first, rate.peak, rate.last, settings.schedule.name,
                                      settings.find_lr ? "; times the rate that will be found" : "");
  }
  if (stage.finding_steps > 0)
    text += fmt::format("  finding a rate {} steps at most, {}\n", stage.finding_steps,
                        duration_text(stage.finding_seconds()));
  text +=
      fmt::format("  memory         about {} at most: arenas {}, states {}, copies of weights {}, photographs {}{}\n",
                  mib(plan.peak(stage)), mib(stage.memory.arenas), mib(stage.memory.states),
                  mib(stage.memory.prepared_copies), mib(stage.resident_set), stage.on_device ? "" : " in host memory");
  if (!stage.cache.empty()) text += fmt::format("  cache          {}\n", stage.cache);
  text += fmt::format(
      "  time           about {}: reading {}, an epoch {} ({:.3g} s a step; validating {})\n",
      duration_text(stage.seconds()), duration_text(stage.reading_seconds), duration_text(stage.epoch_seconds()),
      stage.training_seconds / static_cast<double>(stage.steps_per_epoch), duration_text(stage.validation_seconds));
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
  if (groups.empty()) add("", stage.rate_of(""));
  return rates;
}

Plan measure_plan(const Model& model, const TrainOptions& options, const TrainingData& data) {
  Plan plan{.program = peak_resident_bytes()};
  StateStore store(options.device);
  store.create(states_of(model, DType::f32), options.recipe.seed);
  check_stages(model, options, data, store, 0, options.recipe.stages.size());
  for (const auto& stage : options.recipe.stages)
    plan.stages.push_back(measure_stage(model, stage, options, data, store));
  plan.checkpoint = checkpoint_bytes(store);
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
                    "in all: {} epochs, {} steps, about {} and {} of memory; measured here with {}\n"
                    "not in that time: writing checkpoints of {}, one an epoch at least\n",
                    epochs, steps, duration_text(seconds), mib(peak), threads_text(threads()), mib(plan.checkpoint));
}

}  // namespace dermatome::training

// Training steps over two batches of photographs in turns.
#include "tools/measurement/feeding.h"

#include <array>
#include <chrono>
#include <numeric>

#include "tools/measurement/made_up.h"
#include "tools/training/stage_runner.h"

namespace dermatome::measurement {
namespace {

constexpr int kWarmUp = 3;  // on a GPU the first loads code, the second records
constexpr int kFewestSteps = 3;

training::PhotographSet made_up(const StepSettings& settings, std::size_t count, training::Residence residence) {
  const auto [images, masks] = made_up_photographs(count, settings.size, settings.seed);
  const bool on_device = training::lie_on_device(residence, images.size() + masks.size(), settings.device);
  return {images, masks, settings.size, settings.device, on_device, settings.batch};
}

}  // namespace

Feeding measure_feeding(const Model& model, const StepSettings& settings, training::Residence residence,
                        double seconds) {
  StateStore store(settings.device);
  store.create(training::states_of(model, DType::f32), 1);
  const training::StageSettings stage{.size = settings.size,
                                      .batch = settings.batch,
                                      .frozen = settings.frozen,
                                      .schedule = {},
                                      .group_lr = {},
                                      .lr_scale = {},
                                      .augmentation = {}};
  const auto batch = static_cast<std::size_t>(settings.batch);
  training::StageRunner runner(model, stage, settings.seed, made_up(settings, 2 * batch, residence), {},
                               settings.device, settings.compile, store, settings.steps_per_launch);
  std::vector<std::uint32_t> samples(2 * batch);
  std::iota(samples.begin(), samples.end(), 0u);
  const std::array<std::span<const std::uint32_t>, 2> turns{std::span(samples).first(batch),
                                                            std::span(samples).last(batch)};
  training::EpochSums sums;
  std::vector<training::StepRequest> requests(static_cast<std::size_t>(runner.steps_at_once()));
  std::int64_t done = 0;
  const auto run = [&] {
    for (auto& request : requests) {
      request = {.samples = turns[static_cast<std::size_t>(done % 2)], .at = {}, .steps = done};
      ++done;
    }
    runner.steps(requests, 0, sums, turns[static_cast<std::size_t>(done % 2)], [](double) {});
  };
  for (int i = 0; i < kWarmUp; ++i) run();
  const std::int64_t before = done;
  const double device_before = runner.device_seconds();
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  while (elapsed() < seconds || done - before < kFewestSteps) run();
  const auto steps = static_cast<double>(done - before);
  return {.step = elapsed() / steps, .device = (runner.device_seconds() - device_before) / steps};
}

}  // namespace dermatome::measurement

// Programs of a step, their states and inputs.
#include "tools/measurement/step_bench.h"

#include <algorithm>
#include <chrono>

#include "data/augmentation.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "tools/measurement/made_up.h"
#include "tools/training/memory_needs.h"

namespace dermatome::measurement {
namespace {

void set(const Tensor& to, const std::vector<float>& values) {
  to.copy_from(tensor_of<float>(values, {static_cast<std::int64_t>(values.size())}));
}

void fill_uniform(const Tensor& to, std::uint64_t seed) {
  Philox random(seed);
  Tensor values(to.desc());
  for (float& value : values.as<float>()) value = random.uniform(-2, 2);
  to.copy_from(values);
}

}  // namespace

StepBench::StepBench(const Model& model, const StepSettings& settings)
    : store_(settings.device),
      stage_{.size = settings.size, .batch = settings.batch, .frozen = settings.frozen, .schedule = {}, .group_lr = {}},
      programs_{.model = model,
                .stage = stage_,
                .resident = settings.batch,
                .compile = settings.compile,
                .device = settings.device} {
  try {
    build(model, settings);
  } catch (const OutOfMemory& error) {
    refuse(model, settings, error);
  }
}

void StepBench::build(const Model& model, const StepSettings& settings) {
  store_.create(training::states_of(model, DType::f32), 1);
  if (settings.mode == "infer") {
    step_.emplace(training::inference_graph(model, settings.batch, settings.size, settings.size, DType::f32),
                  settings.device, store_, settings.compile);
    fill_uniform(step_->input("image"), settings.seed);
    return;
  }
  store_.create(training::optimizer_states(programs_), 1);
  store_.create_contiguous(training::gradient_states(programs_));
  step_.emplace(training::accumulate_graph(programs_, settings.batch, false), settings.device, store_,
                settings.compile);
  update_.emplace(training::update_graph(programs_), settings.device, store_, settings.compile);
  set_inputs(model, settings.seed);
  steps_of_chain_ = settings.device.kind == DeviceKind::cuda ? settings.steps_per_launch : 1;
  chain_.emplace(std::vector<Program*>{&*step_, &*update_}, Rounds{.count = steps_of_chain_});
}

void StepBench::refuse(const Model& model, const StepSettings& settings, const OutOfMemory& error) {
  chain_.reset();
  update_.reset();
  step_.reset();
  store_ = StateStore(settings.device);
  const std::size_t available = backend_of(settings.device.kind).available_bytes(settings.device.index);
  const auto needs = [&](std::int64_t batch, std::int64_t size) {
    training::StageSettings stage = stage_;
    stage.batch = static_cast<int>(batch);
    stage.size = static_cast<int>(size);
    const training::StagePrograms programs{
        .model = model, .stage = stage, .resident = batch, .compile = settings.compile, .device = settings.device};
    ProgramNeeds all;
    const auto add_program = [&](Graph graph) {
      all.add(Program::needs(std::move(graph), settings.device, settings.compile));
    };
    std::size_t bytes_of_states = 0;
    const auto add_states = [&](const std::vector<StateDeclaration>& states) {
      for (const auto& state : states) bytes_of_states += state.desc.bytes();
    };
    add_states(training::states_of(model, DType::f32));
    if (settings.mode == "infer") {
      add_program(training::inference_graph(model, batch, size, size, DType::f32));
    } else {
      add_states(training::optimizer_states(programs));
      add_states(training::gradient_states(programs));
      add_program(training::accumulate_graph(programs, batch, false));
      add_program(training::update_graph(programs));
    }
    return bytes_of_states + all.memory.arena + all.memory.inputs_and_outputs + all.prepared_bytes();
  };
  const std::size_t needed = needs(settings.batch, settings.size);
  const training::FitOptions options{.batch_option = "--batch ",
                                     .size_option = "--size ",
                                     .batch = settings.batch,
                                     .size = settings.size,
                                     .divisor = model.divisor()};
  fail("{} {} {} px batch {}: {}; {}", model.name(), settings.mode, settings.size, settings.batch,
       training::out_of_memory_text(settings.device, needed, available, error),
       training::what_would_fit(options, available, needs));
}

double StepBench::run() {
  const auto start = std::chrono::steady_clock::now();
  if (chain_) {
    chain_->run();
  } else {
    step_->run();
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / steps_of_chain_;
}

std::vector<RunTimes> StepBench::run_timed() {
  std::vector<RunTimes> times{step_->run_timed()};
  if (update_) times.push_back(update_->run_timed());
  return times;
}

std::vector<StepBench::Part> StepBench::parts() {
  std::vector<Part> list{{"step", &*step_}};
  if (update_) list.push_back({"update", &*update_});
  return list;
}

void StepBench::set_inputs(const Model& model, std::uint64_t seed) {
  const std::int64_t batch = stage_.batch;
  const auto [images, masks] = made_up_photographs(static_cast<std::size_t>(batch), stage_.size, seed);
  std::vector<std::int32_t> indices;
  std::vector<float> tables;
  for (int i = 0; i < stage_.batch; ++i) {
    indices.push_back(i);
    const auto table = data::draw_table(stage_.augmentation, seed, 0, static_cast<std::uint32_t>(i), stage_.size);
    tables.insert(tables.end(), table.begin(), table.end());
  }
  step_->input("images").copy_from(tensor_of<std::uint8_t>(images, {batch, stage_.size, stage_.size, 3}));
  step_->input("masks").copy_from(tensor_of<std::uint8_t>(masks, {batch, stage_.size, stage_.size}));
  step_->input("indices").copy_from(tensor_of<std::int32_t>(indices, {batch}));
  step_->input("tables").copy_from(tensor_of<float>(tables, {batch, 8}));
  set(step_->input("divisor"), {static_cast<float>(masks.size())});
  const auto groups = training::group_indices(programs_);
  update_->input("groups").copy_from(tensor_of<std::int32_t>(groups, {static_cast<std::int64_t>(groups.size())}));
  set(update_->input("learning"), training::learning_groups(programs_));
  set(update_->input("beta1"), {0.9f});
  set(update_->input("rates"), std::vector<float>(std::max<std::size_t>(1, model.groups().size()), 1e-4f));
}

}  // namespace dermatome::measurement

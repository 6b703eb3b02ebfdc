// Compiling and running a stage's programs.
#include "tools/training/stage_runner.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "engine/core/error.h"
#include "tools/training/memory_needs.h"

namespace dermatome::training {
namespace {

void set(const Tensor& to, std::vector<float> values) {
  to.copy_from(tensor_of<float>(values, {static_cast<std::int64_t>(values.size())}));
}

constexpr Device kHost{DeviceKind::cpu, 0};

std::map<std::string, std::size_t> rooms(const Model& model, const StageSettings& stage) {
  const auto batch = static_cast<std::size_t>(stage.batch);
  constexpr std::size_t kNumber = sizeof(float);
  return {{"indices", batch * sizeof(std::int32_t)},
          {"tables", batch * 8 * kNumber},
          {"divisor", kNumber},
          {"beta1", kNumber},
          {"rates", std::max<std::size_t>(1, model.groups().size()) * kNumber},
          {"decay", kNumber}};
}

// Adds the program's loss and metrics. `share`: what part of the program's loss divisor are its own pixels.
double collect(const Program& program, double share, EpochSums& sums) {
  const Tensor loss = program.output("loss").to(kHost);
  const Tensor metrics = program.output("metrics").to(kHost);
  const double value = static_cast<double>(loss.as<float>()[0]) / share;
  sums.add(value, metrics.as<float>());
  return value;
}

}  // namespace

StageRunner::StageRunner(const Model& model, const StageSettings& stage, std::uint64_t seed, PhotographSet training,
                         PhotographSet validation, Device device, const CompileOptions& options, StateStore& store,
                         int steps_per_launch)
    : model_(model),
      stage_(stage),
      seed_(seed),
      training_(std::move(training)),
      validation_(std::move(validation)),
      device_(device),
      options_(options),
      store_(store),
      training_programs_{
          .model = model_, .stage = stage_, .resident = training_.rows(), .compile = options_, .device = device_},
      validation_programs_{.model = model_, .stage = stage_, .resident = validation_.rows()},
      small_(rooms(model_, stage_), device_),
      photographs_to_train_(training_.count()),
      photographs_to_validate_(validation_.count()),
      steps_per_launch_(steps_per_launch) {
  for (const auto& name : store_.names()) {
    const bool of_optimizer = name.starts_with("adam/") && stage_.optimizer_state != "kept";
    if (of_optimizer || name.starts_with("gradient/") || name.starts_with(kAverages)) store_.remove(name);
  }
  with_advice("gradients, moments and averages", advice_for_states(device_, training_.on_device()), [&] {
    store_.create(optimizer_states(training_programs_), seed_);
    for (const auto& average : average_states(training_programs_))
      store_.adopt(average, store_.read(average.name.substr(std::string_view(kAverages).size())));
    store_.create_contiguous(gradient_states(training_programs_));
  });
}

template <typename Make>
Program& StageRunner::get(const std::string& key, const Make& make) {
  const auto found = programs_.find(key);
  if (found != programs_.end()) return found->second;
  return programs_.emplace(key, Program(make(), device_, store_, options_)).first->second;
}

// All programs of the stage share what is left once its photographs and states are there.
void StageRunner::refuse(const OutOfMemory& error) {
  several_.reset();
  steps_.clear();
  programs_.clear();
  const std::size_t available = backend_of(device_.kind).available_bytes(device_.index);
  const auto needs = [&](std::int64_t batch) {
    return bytes_of_programs(training_programs_, batch, photographs_to_train_, photographs_to_validate_,
                             store_.prepared_bytes());
  };
  const std::size_t needed = needs(stage_.batch);
  const auto fits = batch_that_fits(stage_.batch, available, needs);
  const bool on_gpu = !backend_of(device_.kind).host_addressable() && training_.on_device();
  fail("{} px with batch {}: {}; {}{}", stage_.size, stage_.batch,
       out_of_memory_text(device_, needed, available, error),
       fits >= 1 ? fmt::format("batch={} would fit", fits) : "not even batch=1 fits, take a smaller size",
       on_gpu ? ", and --photographs host leaves more" : "");
}

Program& StageRunner::accumulate_program(std::int64_t batch, bool add) {
  return get(fmt::format("accumulate {} {}", batch, add),
             [&] { return accumulate_graph(training_programs_, batch, add); });
}

Program& StageRunner::update_program() {
  const bool compiled = programs_.contains("update");
  Program& program = get("update", [&] { return update_graph(training_programs_); });
  if (!compiled) {
    const auto indices = group_indices(training_programs_);
    program.bind("groups", tensor_of<std::int32_t>(indices, {static_cast<std::int64_t>(indices.size())}).to(device_));
    set(program.input("learning"), learning_groups(training_programs_));
  }
  return program;
}

Program& StageRunner::validation_program(std::int64_t batch) {
  return get(fmt::format("validation {}", batch), [&] { return validation_graph(validation_programs_, batch); });
}

void StageRunner::compile(std::int64_t training, std::int64_t validation) {
  photographs_to_train_ = training;
  photographs_to_validate_ = validation;
  const EpochBatches batches = batches_of(stage_.batch, stage_.accumulate, training, validation);
  try {
    for (const auto& [batch, add] : batches.training) accumulate_program(batch, add);
    update_program();
    for (const std::int64_t batch : batches.validation) validation_program(batch);
    make_inputs();
  } catch (const OutOfMemory& error) {
    refuse(error);
  }
}

// Those that a step fills; photographs are bound. Small, but nothing is to be asked for once steps run.
void StageRunner::make_inputs() {
  for (auto& [key, program] : programs_) {
    for (const auto& input : program.graph().inputs()) {
      if (input.name != "images" && input.name != "masks") program.input(input.name);
    }
  }
}

void StageRunner::bind_batch(Program& program, PhotographSet& part, std::span<const std::uint32_t> samples,
                             std::span<const float> tables, double photographs) {
  const std::vector<std::int32_t> rows = part.place(samples);
  program.bind("images", part.images());
  program.bind("masks", part.masks());
  small_.set<std::int32_t>(program, "indices", rows);
  small_.set<float>(program, "tables", tables);
  set_divisor(program, photographs);
}

// What losses are divided by: the pixels of a step of so many photographs.
void StageRunner::set_divisor(Program& program, double photographs) {
  const auto pixels = static_cast<float>(photographs * static_cast<double>(stage_.size) * stage_.size);
  small_.set<float>(program, "divisor", {&pixels, 1});
}

// With what was set for it.
void StageRunner::run(Program& program) {
  small_.send();
  const auto start = std::chrono::steady_clock::now();
  program.run();
  device_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::span<const std::uint32_t> StageRunner::first_batch(std::span<const std::uint32_t> samples) const {
  return samples.first(std::min(samples.size(), static_cast<std::size_t>(stage_.batch)));
}

std::vector<float> StageRunner::tables_of(std::span<const std::uint32_t> batch, std::int64_t epoch) const {
  std::vector<float> tables;
  for (const std::uint32_t sample : batch) {
    const auto table = data::draw_table(stage_.augmentation, seed_, epoch, sample, stage_.size);
    tables.insert(tables.end(), table.begin(), table.end());
  }
  return tables;
}

void StageRunner::bind_training_batch(Program& program, std::span<const std::uint32_t> batch, std::int64_t epoch,
                                      double photographs, std::span<const std::uint32_t> upcoming) {
  bind_batch(program, training_, batch, tables_of(batch, epoch), photographs);
  training_.prefetch(first_batch(upcoming));
}

double StageRunner::step(const StepRequest& request, std::int64_t epoch, EpochSums& sums,
                         std::span<const std::uint32_t> upcoming) {
  const auto batch = static_cast<std::int64_t>(request.samples.size());
  if (device_.kind != DeviceKind::cuda || batch > stage_.batch) {
    const double loss = accumulate(request.samples, epoch, sums, upcoming);
    if (std::isfinite(loss)) update(request.at, request.steps);
    return loss;
  }
  Program& program = accumulate_program(batch, false);
  bind_training_batch(program, request.samples, epoch, static_cast<double>(batch), upcoming);
  Program& moving = bind_update(request.at, request.steps);
  auto known = steps_.find(batch);
  if (known == steps_.end()) known = steps_.emplace(batch, Chain({&program, &moving})).first;
  small_.send();
  device_seconds_ += known->second.run();
  return collect(program, 1.0, sums);
}

int StageRunner::steps_at_once() const {
  const bool can = device_.kind == DeviceKind::cuda && stage_.accumulate == 1 && training_.on_device();
  return can ? steps_per_launch_ : 1;
}

// The programs of a full batch and of the update, a row for each step of what differs between steps.
void StageRunner::make_several() {
  Program& program = accumulate_program(stage_.batch, false);
  Program& moving = update_program();
  program.bind("images", training_.images());
  program.bind("masks", training_.masks());
  const auto rows = [&](Program& of, const std::string& name, const TensorDesc& desc) {
    return RoundRows{&of, name, rows_[name] = Tensor(rows_of(desc, steps_per_launch_), device_)};
  };
  const auto input_rows = [&](Program& of, const std::string& name) {
    small_.bind(of, name);
    return rows(of, name, of.input(name).desc());
  };
  Rounds rounds{.count = steps_per_launch_};
  for (const char* name : {"indices", "tables"}) rounds.inputs.push_back(input_rows(program, name));
  for (const auto& [name, values] : update_inputs({}, 0)) rounds.inputs.push_back(input_rows(moving, name));
  for (const char* name : {"loss", "metrics"})
    rounds.outputs.push_back(rows(program, name, program.output(name).desc()));
  several_.emplace(std::vector<Program*>{&program, &moving}, std::move(rounds));
}

void StageRunner::steps(std::span<const StepRequest> requests, std::int64_t epoch, EpochSums& sums,
                        std::span<const std::uint32_t> upcoming, const std::function<void(double loss)>& told) {
  const bool full = std::all_of(requests.begin(), requests.end(), [&](const StepRequest& request) {
    return request.samples.size() == static_cast<std::size_t>(stage_.batch);
  });
  if (requests.size() < 2 || static_cast<int>(requests.size()) != steps_at_once() || !full) {
    for (std::size_t i = 0; i < requests.size(); ++i) {
      told(step(requests[i], epoch, sums, i + 1 < requests.size() ? requests[i + 1].samples : upcoming));
    }
    return;
  }
  if (!several_) make_several();
  std::vector<std::int32_t> indices;
  std::map<std::string, std::vector<float>> values;
  for (const StepRequest& request : requests) {
    const auto places = training_.place(request.samples);
    indices.insert(indices.end(), places.begin(), places.end());
    const auto add = [&](const std::string& name, const std::vector<float>& row) {
      values[name].insert(values[name].end(), row.begin(), row.end());
    };
    add("tables", tables_of(request.samples, epoch));
    for (const auto& [name, row] : update_inputs(request.at, request.steps)) add(name, row);
  }
  rows_.at("indices").copy_from(tensor_of<std::int32_t>(indices, rows_.at("indices").shape()));
  for (const auto& [name, all] : values) rows_.at(name).copy_from(tensor_of<float>(all, rows_.at(name).shape()));
  set_divisor(accumulate_program(stage_.batch, false), static_cast<double>(stage_.batch));
  small_.send();
  device_seconds_ += several_->run();
  const Tensor losses = rows_.at("loss").to(kHost);
  const Tensor metrics = rows_.at("metrics").to(kHost);
  const std::size_t of_step = static_cast<std::size_t>(metrics.shape().elements()) / requests.size();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto loss = static_cast<double>(losses.as<float>()[i]);
    sums.add(loss, metrics.as<float>().subspan(i * of_step, of_step));
    told(loss);
  }
}

double StageRunner::accumulate(std::span<const std::uint32_t> samples, std::int64_t epoch, EpochSums& sums,
                               std::span<const std::uint32_t> upcoming) {
  const auto images = static_cast<double>(samples.size());
  double step_loss = 0;
  for (bool add = false; !samples.empty(); add = true) {
    const auto batch = first_batch(samples);
    samples = samples.subspan(batch.size());
    Program& program = accumulate_program(static_cast<std::int64_t>(batch.size()), add);
    bind_training_batch(program, batch, epoch, images, samples.empty() ? upcoming : samples);
    run(program);
    const double share = static_cast<double>(batch.size()) / images;
    step_loss += share * collect(program, share, sums);
  }
  return step_loss;
}

// What differs between updates, by input.
std::vector<std::pair<std::string, std::vector<float>>> StageRunner::update_inputs(const SchedulePoint& at,
                                                                                   std::int64_t steps) const {
  std::vector<float> rates;
  for (const auto& group : model_.groups()) rates.push_back(static_cast<float>(stage_.rate_of(group) * at.factor));
  if (rates.empty()) rates.push_back(static_cast<float>(stage_.rate_of("") * at.factor));
  std::vector<std::pair<std::string, std::vector<float>>> inputs{
      {"beta1", {static_cast<float>(at.beta1.value_or(stage_.beta1))}}, {"rates", std::move(rates)}};
  if (stage_.ema > 0) {
    const auto t = static_cast<double>(steps);
    inputs.push_back({"decay", {static_cast<float>(std::min(stage_.ema, (1 + t) / (10 + t)))}});
  }
  return inputs;
}

Program& StageRunner::bind_update(const SchedulePoint& at, std::int64_t steps) {
  Program& program = update_program();
  for (const auto& [name, values] : update_inputs(at, steps)) small_.set<float>(program, name, values);
  return program;
}

void StageRunner::update(const SchedulePoint& at, std::int64_t steps) {
  run(bind_update(at, steps));
}

void StageRunner::validate(std::span<const std::uint32_t> samples, EpochSums& sums,
                           std::span<const std::uint32_t> upcoming) {
  std::vector<float> tables;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    tables.insert(tables.end(), data::kIdentityTable.begin(), data::kIdentityTable.end());
  }
  Program& program = validation_program(static_cast<std::int64_t>(samples.size()));
  bind_batch(program, validation_, samples, tables, static_cast<double>(samples.size()));
  validation_.prefetch(first_batch(upcoming));
  small_.send();
  program.run();
  collect(program, 1.0, sums);
}

StageMemory StageRunner::memory() const {
  StageMemory memory{.states = store_.bytes(), .prepared_copies = store_.prepared_bytes()};
  for (const auto& [key, program] : programs_) memory.arenas += program.memory().arena;
  return memory;
}

}  // namespace dermatome::training

// The training loop.
#include "tools/training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>

#include "data/files.h"
#include "engine/core/error.h"
#include "engine/core/threads.h"
#include "models/builtin.h"
#include "tools/training/averaged_weights.h"
#include "tools/training/memory_needs.h"
#include "tools/training/rate_finder.h"
#include "tools/training/resume.h"
#include "tools/training/run_folder.h"
#include "tools/training/run_log.h"
#include "tools/training/stage_data.h"
#include "tools/training/stage_runner.h"
#include "tools/version.h"

namespace dermatome::training {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Model model_of(const TrainOptions& options) {
  return options.resume == nullptr ? find_model(options.recipe.model)
                                   : Model::parse(options.resume->info.graph_text, options.recipe.model);
}

double score_of(const EpochResult& result, BestBy best_by) {
  if (best_by == BestBy::dice) return result.validation_dice;
  return best_by == BestBy::jaccard ? result.validation_jaccard : result.validation_thresholded_jaccard;
}

class Trainer {
 public:
  Trainer(const TrainOptions& options, const TrainingData& data, const TrainingObserver& observer)
      : options_(options), data_(data), observer_(observer), model_(model_of(options)), store_(options.device) {
    check_groups(options.recipe, model_.groups());
    DERMATOME_CHECK(model_.input_channels() == 3, "the model {} takes {} channels, photographs have 3", model_.name(),
                    model_.input_channels());
    with_advice(fmt::format("the weights of {}", model_.name()), "take a smaller network, or another --device",
                [&] { store_.create(states_of(model_, DType::f32), options.recipe.seed); });
    for (const auto& [name, tensor] : options.weights) store_.write(name, tensor);
    for (const auto& stage : options.recipe.stages) epochs_in_all_ += stage.epochs;
    if (options_.resume == nullptr) return;
    position_ = options_.resume->info.position;
    sums_ = options_.resume->info.sums;
    fingerprint_ = options_.resume->info.data;
    found_rates_ = options_.resume->info.found_rates;
    load_weights(*options_.resume, states_of(model_, DType::f32), store_);
    // What the next stage may go on from; a stage that has begun gets all of its states back.
    for (const auto& [name, tensor] : options_.resume->states) {
      if (!store_.contains(name))
        store_.adopt({.name = name, .desc = tensor.desc(), .initializer = {}, .group = {}, .trainable = false},
                     tensor.clone());
    }
  }

  TrainingResult run() {
    const auto& stages = options_.recipe.stages;
    check_sweeps();
    const bool stage_is_done = position_.epoch >= stages[stage_index()].epochs;
    check_stages(model_, options_, data_, store_, stage_index() + (stage_is_done ? 1 : 0), stages.size());
    if (options_.resume != nullptr) repair_best();
    while (!result_.stopped) {
      if (position_.epoch >= stages[stage_index()].epochs) {
        if (stage_index() + 1 == stages.size()) break;
        position_ = {.stage = position_.stage + 1,
                     .epochs_done = position_.epochs_done,
                     .steps_done = position_.steps_done,
                     .best_score = position_.best_score,
                     .best_jaccard = position_.best_jaccard,
                     .best_epoch = position_.best_epoch};
      }
      try {
        run_stage(stages[stage_index()]);
      } catch (const Interrupted&) {
        result_.stopped = true;  // while reading: the last checkpoint holds what there is
      }
    }
    result_.position = position_;
    result_.saved = log_.has_value() || options_.resume != nullptr;
    return std::move(result_);
  }

  RateCurve find(int stage_number, const RateSweep& sweep) {
    position_.stage = stage_number - 1;
    const StageSettings& stage = options_.recipe.stages[stage_index()];
    check_stages(model_, options_, data_, store_, stage_index(), stage_index() + 1);
    try {
      auto loaded = load(stage);
      StageRunner runner(model_, stage, options_.recipe.seed, std::move(loaded.training), std::move(loaded.validation),
                         options_.device, options_.compile, store_);
      runner.compile(runner.training().count(), runner.validation().count());
      return sweep_rates(runner, stage, store_, sweep_data(), sweep, sweep_progress());
    } catch (const Interrupted&) {
      return {};
    }
  }

 private:
  std::size_t stage_index() const { return static_cast<std::size_t>(position_.stage); }

  void run_stage(StageSettings stage) {
    if (const auto found = found_rates_.find(position_.stage); stage.find_lr && found != found_rates_.end())
      stage.lr = found->second;
    auto loaded = load(stage);
    const bool begun = position_.epoch > 0 || position_.step > 0;
    if (!begun) take_averages(store_);
    StageRunner runner(model_, stage, options_.recipe.seed, std::move(loaded.training), std::move(loaded.validation),
                       options_.device, options_.compile, store_, options_.steps_per_launch);
    if (begun) restore_states(*options_.resume, store_);
    runner.compile(runner.training().count(), runner.validation().count());
    leave_if_asked(observer_);
    if (!log_) open_run(stage, runner.training().count());
    tell_of_launches(runner, stage);
    if (stage.find_lr && !found_rates_.contains(position_.stage)) find_rate_of(runner, stage);
    while (position_.epoch < stage.epochs && !result_.stopped) run_epoch(runner, stage);
  }

  // Where several steps a launch were asked for and this stage goes one by one.
  void tell_of_launches(const StageRunner& runner, const StageSettings& stage) const {
    if (options_.steps_per_launch == 1 || !observer_.message) return;
    const std::int64_t asked = options_.steps_per_launch;
    const std::int64_t every = options_.recipe.checkpoint_every.steps;
    const char* why = nullptr;
    if (runner.steps_at_once() == 1) why = "it needs a GPU, photographs in its memory and no accumulation";
    if (every > 0 && every < asked) why = "checkpoints are asked for more often";
    if (runner.training().count() / stage.batch < asked) why = "an epoch has fewer full batches";
    if (why != nullptr)
      observer_.message(fmt::format("stage {}: not {} steps a launch, but one: {}", position_.stage + 1, asked, why));
  }

  // Of all stages to come, before the first of them takes its time.
  void check_sweeps() const {
    const auto& stages = options_.recipe.stages;
    for (std::size_t s = stage_index(); s < stages.size(); ++s) {
      if (stages[s].find_lr && !found_rates_.contains(static_cast<int>(s)))
        check_validation(stages[s].find, data_.validation.size());
    }
  }

  // The stage's rates follow; from here on the checkpoint knows it.
  void find_rate_of(StageRunner& runner, StageSettings& stage) {
    const RateCurve curve = sweep_rates(runner, stage, store_, sweep_data(), stage.find, sweep_progress());
    const std::string file = fmt::format("lr_find_stage{}.csv", position_.stage + 1);
    writing([&] { data::write_file(options_.run / file, to_csv(curve)); });
    const double rate = curve.steepest ? rounded_rate(*curve.steepest) : rate_without_suggestion(file);
    if (curve.steepest && observer_.message) {
      observer_.message(fmt::format("stage {}: lr = {}, where the loss falls steepest ({}); the curve is in {}",
                                    position_.stage + 1, rate, describe(curve), file));
    }
    stage.lr = found_rates_[position_.stage] = rate;
    save(stage);
  }

  // What a stage does that begins where nothing falls any more: as in fastai's notebooks, a quarter of the rate before.
  double rate_without_suggestion(const std::string& file) const {
    const std::string why = fmt::format(
        "stage {}: the learning-rate finder has no suggestion, since the loss never "
        "falls beyond its noise (the curve is in {})",
        position_.stage + 1, file);
    if (position_.stage == 0) fail("{}; give lr a number", why);
    const StageSettings& before = options_.recipe.stages[stage_index() - 1];
    const double rate = (before.find_lr ? found_rates_.at(position_.stage - 1) : before.lr) / 4;
    if (observer_.message) observer_.message(fmt::format("{}; lr = {}, a quarter of the stage's before", why, rate));
    return rate;
  }

  SweepData sweep_data() const { return {.seed = options_.recipe.seed, .first_epoch = position_.epochs_done}; }

  std::function<void(std::int64_t, std::int64_t)> sweep_progress() const {
    return [this](std::int64_t done, std::int64_t total) {
      leave_if_asked(observer_);
      if (observer_.finding) observer_.finding(static_cast<std::size_t>(done), static_cast<std::size_t>(total));
    };
  }

  StageData load(const StageSettings& stage) {
    StageData loaded = load_stage_data(options_, data_, observer_, stage, fingerprint_, !log_);
    fingerprint_ = std::move(loaded.fingerprint);
    return loaded;
  }

  // From here on there is a checkpoint to go on from.
  void open_run(const StageSettings& stage, std::int64_t images) {
    if (observer_.ready) observer_.ready();
    started_ = last_saved_ = Clock::now();
    share_at_start_ = share_done(static_cast<double>(sums_.images) / static_cast<double>(images));
    if (options_.resume == nullptr) {
      log_.emplace(options_.run);
      save(stage);
      const auto space = little_space(options_.run, std::filesystem::file_size(last()));
      if (!space.empty() && observer_.message) observer_.message(space);
      return;
    }
    options_.resume->states = {};  // as large as the store, and restored
    has_checkpoint_ = true;
    saved_step_ = position_.steps_done;
    log_.emplace(options_.run, position_);
    for (const auto& gap : log_->gaps()) {
      if (observer_.message) observer_.message(gap);
    }
  }

  // A run killed between the two files of an epoch's end has an old best.safetensors, or none.
  void repair_best() const {
    const CheckpointInfo& info = options_.resume->info;
    if (info.position.step > 0 || info.position.best_epoch == 0 || info.position.best_epoch < info.position.epochs_done)
      return;
    try {
      if (read_checkpoint(best()).info.position.epochs_done == info.position.best_epoch) return;
    } catch (const Error&) {  // not there, or damaged
    }
    write_checkpoint(best(), store_, info, true);
  }

  void run_epoch(StageRunner& runner, const StageSettings& stage) {
    const std::int64_t steps = stage.steps_of_epoch(runner.training().count());
    epoch_start_ = Clock::now();
    train_epoch(runner, stage, steps);
    if (result_.stopped) return;
    EpochResult result{.epoch = position_.epochs_done + 1,
                       .epochs = epochs_in_all_,
                       .stage = position_.stage + 1,
                       .size = stage.size,
                       .learning_rate = largest_rate(stage) * schedule_of(stage, steps, steps - 1).factor,
                       .train_loss = sums_.mean_loss(),
                       .train_jaccard = sums_.mean(kJaccard),
                       .seconds = sums_.seconds,
                       .images_per_second = static_cast<double>(sums_.images) / sums_.seconds,
                       .last_step = position_.steps_done - 1,
                       .validated = !data_.validation.empty()};
    validate(runner, stage, result);
    if (!result_.stopped) finish_epoch(result, stage);
  }

  SchedulePoint schedule_of(const StageSettings& stage, std::int64_t steps, std::int64_t step) const {
    return schedule_at(stage.schedule, position_.epoch * steps + step, steps * stage.epochs);
  }

  double largest_rate(const StageSettings& stage) const {
    double largest = 0;
    for (const auto& group : model_.groups()) largest = std::max(largest, stage.rate_of(group));
    return model_.groups().empty() ? stage.rate_of("") : largest;
  }

  // The steps of an epoch that go out together, from the position on: as many full ones as the runner takes at once, if
  // no checkpoint is due in between, or one.
  std::vector<StepRequest> next_steps(const StageRunner& runner, const StageSettings& stage, std::int64_t steps,
                                      std::span<const std::uint32_t> order) const {
    const auto per_step = static_cast<std::size_t>(stage.batch) * static_cast<std::size_t>(stage.accumulate);
    const std::int64_t at_once = runner.steps_at_once();
    const auto full = static_cast<std::int64_t>(order.size() / per_step) - position_.step;
    const std::int64_t every = options_.recipe.checkpoint_every.steps;
    const bool together = full >= at_once && (every == 0 || position_.steps_done - saved_step_ + at_once <= every);
    std::vector<StepRequest> requests;
    for (std::int64_t step = position_.step; step < position_.step + (together ? at_once : 1); ++step) {
      const auto first = static_cast<std::size_t>(step) * per_step;
      requests.push_back({.samples = order.subspan(first, std::min(per_step, order.size() - first)),
                          .at = schedule_of(stage, steps, step),
                          .steps = position_.epoch * steps + step});
    }
    return requests;
  }

  void train_epoch(StageRunner& runner, const StageSettings& stage, std::int64_t steps) {
    const std::int64_t images = runner.training().count();
    const auto order =
        data::epoch_order(static_cast<std::uint32_t>(images), options_.recipe.seed, position_.epochs_done);
    const auto per_step = static_cast<std::size_t>(stage.batch) * static_cast<std::size_t>(stage.accumulate);
    const double seconds_before = sums_.seconds;
    while (position_.step < steps) {
      const auto requests = next_steps(runner, stage, steps, order);
      const std::span rest = std::span(order).subspan(
          std::min(order.size(), (static_cast<std::size_t>(position_.step) + requests.size()) * per_step));
      EpochSums before = sums_;
      std::size_t told = 0;
      runner.steps(requests, position_.epochs_done, sums_, rest.first(std::min(per_step, rest.size())),
                   [&](double loss) {
                     finish_step(stage, requests[told++], loss, before);
                     before = sums_;
                   });
      sums_.seconds = seconds_before + seconds_since(epoch_start_);
      report_step(images);
      if (stop_after_saving(stage)) return;
      if (position_.step < steps && checkpoint_is_due()) save(stage);
    }
  }

  // `before`: the sums in front of the step.
  void finish_step(const StageSettings& stage, const StepRequest& request, double loss, const EpochSums& before) {
    rate_ = largest_rate(stage) * request.at.factor;
    const double jaccard =
        (sums_.metrics[kJaccard] - before.metrics[kJaccard]) / static_cast<double>(request.samples.size());
    writing([&] {
      log_->step({.step = static_cast<double>(position_.steps_done),
                  .epoch = position_.epochs_done + 1,
                  .learning_rate = rate_,
                  .loss = loss},
                 jaccard);
    });
    if (!std::isfinite(loss)) fail_not_finite("the loss is", position_.steps_done + 1);
    ++position_.step;
    ++position_.steps_done;
  }

  [[noreturn]] void fail_not_finite(const std::string& what, std::int64_t step) const {
    fail("{} not a number any more at step {} (epoch {}, learning rate {:.3g}); {}", what, step,
         position_.epochs_done + 1, rate_,
         saved_step_ > 0
             ? fmt::format("the last good checkpoint, of step {}, is {}: go on from it with --resume and a smaller lr",
                           saved_step_, last().string())
             : "start again with a smaller lr");
  }

  // Whether the user wants to stop; the state is then on the disk.
  bool stop_after_saving(const StageSettings& stage) {
    if (!observer_.stop_requested || !observer_.stop_requested()) return false;
    save_and_stop(stage);
    return true;
  }

  void save_and_stop(const StageSettings& stage) {
    save(stage);
    result_.stopped = true;
  }

  bool checkpoint_is_due() const {
    const auto& every = options_.recipe.checkpoint_every;
    if (every.steps > 0) return position_.steps_done - saved_step_ >= every.steps;
    return every.minutes > 0 && seconds_since(last_saved_) >= 60 * every.minutes;
  }

  void validate(StageRunner& runner, const StageSettings& stage, EpochResult& result) {
    const std::int64_t count = runner.validation().count();
    std::vector<std::uint32_t> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0u);
    EpochSums sums;
    bool stop = false;
    {
      const AveragedWeights averaged(store_);
      while (sums.images < count && !stop) {
        const auto rest = std::span(order).subspan(static_cast<std::size_t>(sums.images));
        const std::size_t batch = std::min(static_cast<std::size_t>(stage.batch), rest.size());
        runner.validate(rest.first(batch), sums, rest.subspan(batch));
        if (observer_.validating) observer_.validating(sums.images, count);
        stop = observer_.stop_requested && observer_.stop_requested();
      }
    }
    if (stop) {
      save_and_stop(stage);
      return;
    }
    if (!std::isfinite(sums.loss)) fail_not_finite("the validation loss is", position_.steps_done);
    result.validation_loss = sums.mean_loss();
    result.validation_jaccard = sums.mean(kJaccard);
    result.validation_thresholded_jaccard = sums.mean(kThresholdedJaccard);
    result.validation_dice = sums.mean(kDice);
  }

  void finish_epoch(EpochResult& result, const StageSettings& stage) {
    ++position_.epochs_done;
    ++position_.epoch;
    position_.step = 0;
    sums_ = {};
    const double score = score_of(result, options_.recipe.best_by);
    result.best = !result.validated || score > position_.best_score;
    if (result.best) {
      position_.best_score = score;
      position_.best_jaccard = result.validation_jaccard;
      position_.best_epoch = position_.epochs_done;
    }
    writing([&] { log_->epoch(result); });
    // In this order: best.safetensors is never ahead of the checkpoint that a resumed run starts from.
    save(stage);
    if (result.best) writing([&] { write(best(), stage, true); });
    result_.epochs.push_back(result);
    if (observer_.epoch) observer_.epoch(result);
  }

  std::filesystem::path last() const { return options_.run / "last.safetensors"; }
  std::filesystem::path best() const { return options_.run / "best.safetensors"; }

  void save(const StageSettings& stage) {
    if (const auto name = first_state_not_finite(store_); !name.empty()) {
      fail_not_finite(fmt::format("a value of {} is", name), position_.steps_done);
    }
    writing([&] {
      log_->sync();  // the checkpoint lets expect these rows
      write(last(), stage, false);
    });
    has_checkpoint_ = true;
    saved_step_ = position_.steps_done;
    last_saved_ = Clock::now();
  }

  // A write that fails ends the run; what was written before it is whole, and the user is told so.
  template <typename Write>
  void writing(const Write& action) const {
    try {
      action();
    } catch (const Error& error) {
      if (!has_checkpoint_) throw;
      fail("{}; the checkpoint of step {} is whole, and --resume goes on from it when that is mended", error.what(),
           saved_step_);
    }
  }

  void write(const std::filesystem::path& path, const StageSettings& stage, bool weights_only) const {
    CheckpointInfo info = environment(options_.device, options_.compile);
    info.graph_text = model_.canonical_text();
    info.recipe = to_toml(options_.recipe, false);
    const Recipe& recipe = options_.recipe;
    info.preprocessing = {.size = stage.size, .resize = recipe.resize, .colours = recipe.colour_constancy};
    info.position = position_;
    info.found_rates = found_rates_;
    info.sums = sums_;
    info.data = fingerprint_;
    info.seed = options_.recipe.seed;
    write_checkpoint(path, store_, info, weights_only);
  }

  // Share of the whole run, by pixels, that is done with this share of the current epoch.
  double share_done(double of_epoch) const {
    const auto& stages = options_.recipe.stages;
    double all = 0;
    double done = 0;
    for (std::size_t s = 0; s < stages.size(); ++s) {
      const double epoch_cost = static_cast<double>(stages[s].size) * stages[s].size;
      all += epoch_cost * stages[s].epochs;
      if (s < stage_index()) done += epoch_cost * stages[s].epochs;
      if (s == stage_index()) done += epoch_cost * (position_.epoch + of_epoch);
    }
    return done / all;
  }

  void report_step(std::int64_t images) const {
    if (!observer_.step) return;
    const double share = share_done(static_cast<double>(sums_.images) / static_cast<double>(images));
    observer_.step({.epoch = position_.epochs_done + 1,
                    .epochs = epochs_in_all_,
                    .images_done = sums_.images,
                    .images = images,
                    .loss = sums_.mean_loss(),
                    .jaccard = sums_.mean(kJaccard),
                    .images_per_second = static_cast<double>(sums_.images) / sums_.seconds,
                    .share_done = share,
                    .seconds_left = seconds_since(started_) * (1 - share) / (share - share_at_start_)});
  }

  const TrainOptions& options_;
  const TrainingData& data_;
  const TrainingObserver& observer_;
  Model model_;
  StateStore store_;
  std::optional<RunLog> log_;  // from open_run on
  Position position_;
  EpochSums sums_;
  DataFingerprint fingerprint_;
  std::map<int, double> found_rates_;  // by stage
  TrainingResult result_;
  int epochs_in_all_ = 0;
  double rate_ = 0;  // of the last step, largest group
  bool has_checkpoint_ = false;
  std::int64_t saved_step_ = 0;  // steps that the last checkpoint has behind it
  Clock::time_point started_, epoch_start_, last_saved_;
  double share_at_start_ = 0;
};

}  // namespace

CheckpointInfo environment(Device device, const CompileOptions& compile) {
  CheckpointInfo info;
  info.threads = threads();
  info.instruction_set = std::string(name_of(instruction_set()));
  info.type = std::string(name_of(compile.activations));
  info.device = to_string(device);
  info.processor = cpu_model_name();
  info.disabled = compile.disabled_passes;
  info.disabled.insert(info.disabled.end(), compile.disabled_kernels.begin(), compile.disabled_kernels.end());
  info.version = kVersion;
  return info;
}

TrainingResult train(const TrainOptions& options, const TrainingData& data, const TrainingObserver& observer) {
  return Trainer(options, data, observer).run();
}

RateCurve find_rate(const TrainOptions& options, const TrainingData& data, const TrainingObserver& observer, int stage,
                    const RateSweep& sweep) {
  return Trainer(options, data, observer).find(stage, sweep);
}

}  // namespace dermatome::training

// The training loop.
#include "tools/training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <map>

#include "data/resident_set.h"
#include "engine/core/error.h"
#include "engine/core/threads.h"
#include "models/builtin.h"
#include "tools/training/checkpoint.h"
#include "tools/training/networks.h"
#include "tools/version.h"

namespace dermatome::training {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A resident set as tensors on the device.
struct ResidentTensors {
  std::int64_t count = 0;
  Tensor images, masks;

  ResidentTensors(std::span<const std::uint8_t> image_pixels, std::span<const std::uint8_t> mask_pixels,
                  std::int64_t size, Device device)
      : count(static_cast<std::int64_t>(mask_pixels.size()) / (size * size)),
        images(tensor_of<std::uint8_t>(image_pixels, {count, size, size, 3}).to(device)),
        masks(tensor_of<std::uint8_t>(mask_pixels, {count, size, size}).to(device)) {}
};

// Sums over the images seen so far.
struct Sums {
  std::int64_t images = 0;
  double loss = 0;
  std::array<double, kMetrics> metrics{};

  double mean_loss() const { return images == 0 ? 0 : loss / static_cast<double>(images); }
  double mean(Metric metric) const { return images == 0 ? 0 : metrics[metric] / static_cast<double>(images); }
  void add(double batch_loss, std::span<const float> rows) {
    const auto count = static_cast<std::int64_t>(rows.size()) / kMetrics;
    images += count;
    loss += batch_loss * static_cast<double>(count);
    for (std::size_t i = 0; i < rows.size(); ++i) metrics[i % kMetrics] += static_cast<double>(rows[i]);
  }
};

// Programs by batch size and kind, compiled on first use; the remainder batch of an epoch has its own.
class Programs {
 public:
  Programs(const StagePrograms& training, const StagePrograms& validation, const TrainOptions& options,
           StateStore& store)
      : training_(training), validation_(validation), options_(options), store_(store) {}

  Program& accumulate(std::int64_t batch, bool add) {
    return get(fmt::format("accumulate {} {}", batch, add), batch,
               [&] { return accumulate_graph(training_, batch, add); });
  }
  Program& update() {
    return get("update", 0, [&] { return update_graph(training_); });
  }
  Program& validation(std::int64_t batch) {
    return get(fmt::format("validation {}", batch), batch, [&] { return validation_graph(validation_, batch); });
  }

 private:
  template <typename Make>
  Program& get(const std::string& key, std::int64_t batch, const Make& make) {
    const auto found = programs_.find(key);
    if (found != programs_.end()) return found->second;
    try {
      return programs_.emplace(key, Program(make(), options_.device, store_, options_.compile)).first->second;
    } catch (const OutOfMemory& error) {
      const auto fits = static_cast<std::int64_t>(static_cast<double>(batch) * static_cast<double>(error.available) /
                                                  static_cast<double>(error.needed));
      fail("{} px with batch {}: {}; {}", training_.stage.size, batch, error.what(),
           fits >= 1 ? fmt::format("batch={} would fit", fits) : "not even batch=1 fits, take a smaller size");
    }
  }

  const StagePrograms& training_;
  const StagePrograms& validation_;
  const TrainOptions& options_;
  StateStore& store_;
  std::map<std::string, Program> programs_;
};

class CsvLog {
 public:
  CsvLog(const std::filesystem::path& path, const std::string& header) : path_(path), file_(path) {
    file_ << header << '\n';
    check();
  }
  void row(const std::string& text) {
    file_ << text << '\n';
    file_.flush();
    check();
  }

 private:
  void check() { DERMATOME_CHECK(file_.good(), "{} cannot be written (is the disk full?)", path_.string()); }
  std::filesystem::path path_;
  std::ofstream file_;
};

class Trainer {
 public:
  Trainer(const TrainOptions& options, const TrainingData& data, const TrainingObserver& observer)
      : options_(options),
        data_(data),
        observer_(observer),
        model_(find_model(options.recipe.model)),
        store_(options.device),
        log_(options.run / "log.csv",
             "epoch,stage,size,lr,train_loss,train_jaccard,validation_loss,validation_jaccard,validation_thresholded_"
             "jaccard,"
             "validation_dice,seconds,images_per_second"),
        steps_(options.run / "steps.csv", "step,epoch,lr,loss") {
    check_groups(options.recipe, model_.groups());
    DERMATOME_CHECK(model_.input_channels() == 3, "the model {} takes {} channels, photographs have 3", model_.name(),
                    model_.input_channels());
    store_.create(states_of(model_, DType::f32), options.recipe.seed);
    for (const auto& stage : options.recipe.stages) epochs_in_all_ += stage.epochs;
  }

  TrainingResult run() {
    started_ = Clock::now();
    for (std::size_t s = 0; s < options_.recipe.stages.size() && !result_.stopped; ++s) run_stage(static_cast<int>(s));
    return std::move(result_);
  }

 private:
  void run_stage(int index) {
    const StageSettings& stage = options_.recipe.stages[static_cast<std::size_t>(index)];
    position_.stage = index;
    const auto [training, validation] = load(stage.size);
    const StagePrograms train_programs{.model = model_, .stage = stage, .resident = training.count};
    const StagePrograms validation_programs{.model = model_, .stage = stage, .resident = validation.count};
    reset_optimizer(train_programs);
    Programs programs(train_programs, validation_programs, options_, store_);
    prepare_update(programs.update(), train_programs);

    const std::int64_t per_step = std::int64_t{stage.batch} * stage.accumulate;
    const std::int64_t steps = (training.count + per_step - 1) / per_step;
    for (int epoch = 0; epoch < stage.epochs; ++epoch) {
      position_.epoch = epoch;
      EpochResult result{
          .epoch = position_.epochs_done + 1, .epochs = epochs_in_all_, .stage = index + 1, .size = stage.size};
      const auto start = Clock::now();
      const Sums sums = train_epoch(programs, training, stage, steps, result);
      if (result_.stopped) return;
      result.seconds = seconds_since(start);
      result.images_per_second = static_cast<double>(sums.images) / result.seconds;
      result.train_loss = sums.mean_loss();
      result.train_jaccard = sums.mean(kJaccard);
      validate(programs, validation, stage, result);
      finish_epoch(result, stage);
    }
  }

  struct Loaded {
    ResidentTensors training, validation;
  };

  // Both parts in one go, so that every bad file is named at once.
  Loaded load(int size) {
    std::vector<data::Sample> samples = data_.train;
    samples.insert(samples.end(), data_.validation.begin(), data_.validation.end());
    if (options_.cache != nullptr && observer_.message) {
      observer_.message(data::plan_sentence(options_.cache->plan(samples, size), options_.cache->folder(), size));
    }
    const data::ResidentSet set = data::load_resident_set(
        samples, size, {.cache = options_.cache, .skip_bad = options_.skip_bad, .progress = observer_.loading});
    if (position_.stage == 0) tell(set);
    const std::size_t training = set.count_of_first(data_.train.size());
    DERMATOME_CHECK(training > 0, "no photograph to train on can be used; the first: {}", set.report.left_out.front());
    DERMATOME_CHECK(data_.validation.empty() || training < set.count(),
                    "no photograph to validate on can be used; the last: {}", set.report.left_out.back());
    const std::size_t pixels = static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
    const auto part = [&](std::size_t first, std::size_t count) {
      return ResidentTensors(std::span(set.images).subspan(first * pixels * 3, count * pixels * 3),
                             std::span(set.masks).subspan(first * pixels, count * pixels), size, options_.device);
    };
    return {part(0, training), part(training, set.count() - training)};
  }

  // What was found out about the files: every stage reads the same ones.
  void tell(const data::ResidentSet& set) const {
    if (!observer_.message) return;
    for (const auto& cause : set.report.left_out) observer_.message("left out: " + cause);
    for (const auto& sentence : set.report.sentences(set.count())) observer_.message(sentence);
    if (options_.cache != nullptr && !options_.cache->write_failure().empty()) {
      observer_.message("the cache is not complete: " + options_.cache->write_failure());
    }
  }

  void reset_optimizer(const StagePrograms& programs) {
    for (const auto& name : store_.names()) {
      if (name.starts_with("adam/") || name.starts_with("gradient/")) store_.remove(name);
    }
    store_.create(optimizer_states(programs), options_.recipe.seed);
    store_.create_contiguous(gradient_states(programs));
  }

  void prepare_update(Program& update, const StagePrograms& programs) {
    const auto indices = group_indices(programs);
    update.bind("groups",
                tensor_of<std::int32_t>(indices, {static_cast<std::int64_t>(indices.size())}).to(options_.device));
    set(update.input("beta1"), {static_cast<float>(programs.stage.beta1)});
  }

  static void set(const Tensor& to, std::vector<float> values) {
    to.copy_from(tensor_of<float>(values, {static_cast<std::int64_t>(values.size())}));
  }

  // Fills a program's inputs for the samples at [begin, begin + batch) of `order`.
  void bind_batch(Program& program, const ResidentTensors& set_of, std::span<const std::uint32_t> samples,
                  const data::AugmentationSettings& augmentation, const StageSettings& stage, double divisor) {
    const auto batch = static_cast<std::int64_t>(samples.size());
    std::vector<std::int32_t> indices(samples.begin(), samples.end());
    std::vector<float> tables;
    for (const std::uint32_t sample : samples) {
      const auto table =
          data::draw_table(augmentation, options_.recipe.seed, position_.epochs_done, sample, stage.size);
      tables.insert(tables.end(), table.begin(), table.end());
    }
    program.bind("images", set_of.images);
    program.bind("masks", set_of.masks);
    program.input("indices").copy_from(tensor_of<std::int32_t>(indices, {batch}));
    program.input("tables").copy_from(tensor_of<float>(tables, {batch, 8}));
    set(program.input("divisor"), {static_cast<float>(divisor)});
  }

  // Adds the program's loss and metrics. `share`: what part of the program's loss divisor are its own pixels.
  double collect(const Program& program, double share, Sums& sums) const {
    const Tensor loss = program.output("loss").to({DeviceKind::cpu, 0});
    const Tensor metrics = program.output("metrics").to({DeviceKind::cpu, 0});
    const double value = static_cast<double>(loss.as<float>()[0]) / share;
    sums.add(value, metrics.as<float>());
    return value;
  }

  Sums train_epoch(Programs& programs, const ResidentTensors& training, const StageSettings& stage, std::int64_t steps,
                   EpochResult& result) {
    const auto order =
        data::epoch_order(static_cast<std::uint32_t>(training.count), options_.recipe.seed, position_.epochs_done);
    const std::int64_t pixels = std::int64_t{stage.size} * stage.size;
    const auto epoch_start = Clock::now();
    Sums sums;
    std::int64_t next = 0;
    for (std::int64_t step = 0; step < steps; ++step) {
      position_.step = step;
      const std::int64_t per_step = std::int64_t{stage.batch} * stage.accumulate;
      const std::int64_t end = std::min(training.count, next + per_step);
      const auto images = static_cast<double>(end - next);
      double step_loss = 0;
      for (bool add = false; next < end; add = true) {
        const std::int64_t batch = std::min<std::int64_t>(stage.batch, end - next);
        Program& program = programs.accumulate(batch, add);
        const std::span samples =
            std::span(order).subspan(static_cast<std::size_t>(next), static_cast<std::size_t>(batch));
        bind_batch(program, training, samples, stage.augmentation, stage, images * static_cast<double>(pixels));
        program.run();
        const double share = static_cast<double>(batch) / images;
        step_loss += share * collect(program, share, sums);
        next += batch;
      }
      const double factor = schedule_factor(stage.schedule, position_.epoch * steps + step, steps * stage.epochs);
      update(programs.update(), stage, factor);
      result.learning_rate = largest_rate(stage) * factor;
      steps_.row(fmt::format("{},{},{:.9g},{:.9g}", global_step_++, result.epoch, result.learning_rate, step_loss));
      if (!std::isfinite(step_loss)) {
        fail("the loss is not a number any more at step {} (epoch {}, learning rate {:.3g}); {}", global_step_,
             result.epoch, result.learning_rate,
             position_.epochs_done > 0 ? "the last good checkpoint is " + (options_.run / "last.safetensors").string()
                                       : "try a smaller lr");
      }
      report_step(result, sums, training.count, epoch_start);
      if (observer_.stop_requested && observer_.stop_requested()) {
        write("last.safetensors", stage, false);
        result_.stopped = true;
        return sums;
      }
    }
    return sums;
  }

  double largest_rate(const StageSettings& stage) const {
    double largest = 0;
    for (const auto& group : model_.groups()) largest = std::max(largest, stage.rate_of(group));
    return model_.groups().empty() ? stage.lr : largest;
  }

  void update(Program& program, const StageSettings& stage, double factor) {
    std::vector<float> rates;
    for (const auto& group : model_.groups()) rates.push_back(static_cast<float>(stage.rate_of(group) * factor));
    if (rates.empty()) rates.push_back(static_cast<float>(stage.lr * factor));
    set(program.input("rates"), std::move(rates));
    program.run();
  }

  void validate(Programs& programs, const ResidentTensors& validation, const StageSettings& stage,
                EpochResult& result) {
    if (validation.count == 0) return;
    std::vector<std::uint32_t> order(static_cast<std::size_t>(validation.count));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
    const double pixels = static_cast<double>(stage.size) * stage.size;
    Sums sums;
    for (std::int64_t next = 0; next < validation.count;) {
      const std::int64_t batch = std::min<std::int64_t>(stage.batch, validation.count - next);
      Program& program = programs.validation(batch);
      bind_batch(program, validation,
                 std::span(order).subspan(static_cast<std::size_t>(next), static_cast<std::size_t>(batch)),
                 data::AugmentationSettings::none(), stage, pixels * static_cast<double>(batch));
      program.run();
      collect(program, 1.0, sums);
      next += batch;
    }
    result.validation_loss = sums.mean_loss();
    result.validation_jaccard = sums.mean(kJaccard);
    result.validation_thresholded_jaccard = sums.mean(kThresholdedJaccard);
    result.validation_dice = sums.mean(kDice);
  }

  void finish_epoch(EpochResult& result, const StageSettings& stage) {
    ++position_.epochs_done;
    const bool has_validation = !data_.validation.empty();
    result.best = !has_validation || result.validation_jaccard > position_.best_jaccard;
    if (result.best) position_.best_jaccard = result.validation_jaccard;
    if (result.best) write("best.safetensors", stage, true);
    write("last.safetensors", stage, false);
    log_.row(fmt::format("{},{},{},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{:.3f},{:.2f}", result.epoch,
                         result.stage, result.size, result.learning_rate, result.train_loss, result.train_jaccard,
                         result.validation_loss, result.validation_jaccard, result.validation_thresholded_jaccard,
                         result.validation_dice, result.seconds, result.images_per_second));
    result_.epochs.push_back(result);
    if (observer_.epoch) observer_.epoch(result);
  }

  void write(const std::string& name, const StageSettings& stage, bool weights_only) {
    write_checkpoint(options_.run / name, store_,
                     {.graph_text = model_.canonical_text(),
                      .recipe = to_toml(options_.recipe, false),
                      .preprocessing = {.size = stage.size},
                      .position = position_,
                      .seed = options_.recipe.seed,
                      .threads = threads(),
                      .instruction_set = std::string(name_of(instruction_set())),
                      .type = std::string(name_of(options_.compile.activations)),
                      .version = kVersion},
                     weights_only);
  }

  // The share of the whole run's pixels that are done says how much time is left.
  void report_step(const EpochResult& result, const Sums& sums, std::int64_t images, Clock::time_point epoch_start) {
    if (!observer_.step) return;
    const auto& stages = options_.recipe.stages;
    const auto epoch_cost = [](const StageSettings& stage) { return static_cast<double>(stage.size) * stage.size; };
    double all = 0;
    double done = 0;
    for (std::size_t s = 0; s < stages.size(); ++s) {
      all += epoch_cost(stages[s]) * stages[s].epochs;
      if (static_cast<int>(s) < position_.stage) done += epoch_cost(stages[s]) * stages[s].epochs;
    }
    const double in_epoch = static_cast<double>(sums.images) / static_cast<double>(images);
    done += epoch_cost(stages[static_cast<std::size_t>(position_.stage)]) * (position_.epoch + in_epoch);
    observer_.step({.epoch = result.epoch,
                    .epochs = result.epochs,
                    .images_done = sums.images,
                    .images = images,
                    .loss = sums.mean_loss(),
                    .jaccard = sums.mean(kJaccard),
                    .images_per_second = static_cast<double>(sums.images) / seconds_since(epoch_start),
                    .seconds_left = seconds_since(started_) * (all - done) / done});
  }

  const TrainOptions& options_;
  const TrainingData& data_;
  const TrainingObserver& observer_;
  Model model_;
  StateStore store_;
  CsvLog log_;
  CsvLog steps_;
  Position position_;
  TrainingResult result_;
  int epochs_in_all_ = 0;
  std::int64_t global_step_ = 0;
  Clock::time_point started_;
};

}  // namespace

TrainingResult train(const TrainOptions& options, const TrainingData& data, const TrainingObserver& observer) {
  return Trainer(options, data, observer).run();
}

}  // namespace dermatome::training

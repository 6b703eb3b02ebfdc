// dermatome lr-find: sweeps the learning rate of a stage and suggests one, without training anything.
#include <optional>

#include "engine/core/error.h"
#include "models/builtin.h"
#include "tools/command.h"
#include "tools/data_options.h"
#include "tools/progress.h"
#include "tools/rate_chart_of.h"
#include "tools/recipe_options.h"
#include "tools/report/rate_chart.h"
#include "tools/signals.h"
#include "tools/split_options.h"
#include "tools/training/initial_weights.h"
#include "tools/training/trainer.h"

namespace dermatome {
namespace {

struct FindCommand {
  std::shared_ptr<RecipeOptions> recipe;
  int stage = 1;
  std::string weights, csv, plot;
  bool linear = false, validation_loss = false;
  std::optional<double> start, end;
  std::optional<std::int64_t> steps;
  std::shared_ptr<DataOptions> data;
  std::shared_ptr<SplitOptions> split;
  std::shared_ptr<RunOptions> options;
};

// The recipe's, changed by what the command line says.
training::RateSweep sweep_of(const FindCommand& command, training::RateSweep sweep) {
  sweep.linear |= command.linear;
  sweep.validation_loss |= command.validation_loss;
  if (sweep.linear && command.start) fail_usage("the recipe's sweep is linear and starts at 0, so it has no --start");
  sweep.start = command.start.value_or(sweep.start);
  sweep.end = command.end.value_or(sweep.end);
  sweep.steps = command.steps.value_or(sweep.steps);
  if (!sweep.rises())
    fail_usage("an exponential sweep rises: --start {:g} must be below --end {:g}", sweep.start, sweep.last_rate());
  return sweep;
}

training::StageSettings& stage_of(const FindCommand& command, training::Recipe& recipe) {
  if (static_cast<std::size_t>(command.stage) > recipe.stages.size())
    fail_usage("the recipe has {} stage{}, so there is no --stage {}", recipe.stages.size(),
               recipe.stages.size() == 1 ? "" : "s", command.stage);
  return recipe.stages[static_cast<std::size_t>(command.stage) - 1];
}

// As a recipe holds it: the other groups keep their ratio.
std::string line_to_paste(training::StageSettings stage, double rate) {
  for (auto& [group, value] : stage.group_lr) value = training::rounded_rate(value * rate / stage.lr);
  stage.lr = rate;
  stage.find_lr = false;
  return fmt::format("lr = {}", training::rates_text(stage));
}

void print(const training::RateCurve& curve, const training::StageSettings& stage, const std::string& title) {
  fmt::print("# {}: {}\n", title, training::describe(curve));
  if (!curve.steepest) {
    fmt::print("# no suggestion: the loss never falls beyond its noise in this sweep\n");
    return;
  }
  const double rate = training::rounded_rate(*curve.steepest);
  fmt::print("# the loss falls steepest at {}; a tenth of the rate where it is lowest: {:.3g}\n{}\n", rate,
             curve.lowest / 10, line_to_paste(stage, rate));
}

void run_find(const FindCommand& command) {
  command.options->apply();
  training::Recipe recipe = command.recipe->recipe(!command.weights.empty());
  training::StageSettings& stage = stage_of(command, recipe);
  if (stage.lr <= 0) fail_usage("lr = 0 leaves no ratio of rates to sweep; give another lr");
  stage.find = sweep_of(command, stage.find);
  const Model model = find_model(recipe.model);
  training::check_model(recipe, model);
  Progress progress;
  const std::string warning = training::preset_warning(command.recipe->preset, !command.weights.empty());
  if (!warning.empty()) progress.message(warning);
  training::TrainOptions options{.recipe = recipe,
                                 .run = {},
                                 .device = command.options->device(),
                                 .compile = command.options->compile,
                                 .skip_bad = command.data->skip_bad,
                                 .weights = {}};
  if (!command.weights.empty()) {
    const auto file = training::weights_file(command.weights);
    const WeightMatch match = training::initial_weights(file, model);
    for (const auto& sentence : describe(match, file.string(), model.name())) progress.message(sentence);
    options.weights = match.loaded;
  }
  const auto cache = command.data->open_cache();
  options.cache = cache.get();
  const SplitData split = split_samples(*command.data, *command.split, recipe.seed, cache.get(), progress);
  const training::TrainingObserver observer{
      .message = [&](const std::string& text) { progress.message(text); },
      .loading = [&](std::size_t done, std::size_t total) { progress.count("reading", done, total); },
      .finding = [&](std::size_t done, std::size_t total) { progress.count("sweeping rates", done, total); },
      .stop_requested = [] { return received_signal() != 0; }};
  const auto curve = training::find_rate(options, split.data, observer, command.stage, stage.find);
  progress.clear();
  stop_if_signalled();
  DERMATOME_CHECK(!curve.points.empty(), "the loss of the first step is no number, so there is no curve");
  const std::string title = fmt::format("stage {}, {} px", command.stage, stage.size);
  if (!command.csv.empty()) write_text(command.csv, training::to_csv(curve));
  if (!command.plot.empty()) write_text(command.plot, report::rate_picture(chart_of(curve, title)));
  print(curve, stage, title);
}

}  // namespace

void add_lr_find(CLI::App& app) {
  auto* sub = app.add_subcommand("lr-find", "Sweep the learning rate of a stage and suggest one; trains nothing");
  auto command = std::make_shared<FindCommand>();
  command->data = add_data_options(*sub);
  std::vector<CLI::Option*> choosing;
  command->split = add_split_options(*sub, choosing);
  sub->add_option("--stage", command->stage, "Stage of the recipe, from 1")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  sub->add_option("--weights", command->weights,
                  "Start from these: weights of PyTorch (.pth), safetensors, or an earlier run's folder");
  sub->add_option("--steps", command->steps,
                  "Steps of the sweep, instead of the recipe's find_steps: those of an epoch, at least 100")
      ->check(CLI::Range(1, 1000000));
  sub->add_flag("--linear", command->linear, "Raise the rate by equal amounts from 0, not by equal factors");
  auto* start = sub->add_option("--start", command->start,
                                "First rate of an exponential sweep, instead of the recipe's find_start: 1e-5")
                    ->check(CLI::Range(1e-12, 100.0));
  sub->add_option("--end", command->end,
                  "Rate at the end of the sweep, instead of the recipe's find_end: 10, or 0.1 for a linear one")
      ->check(CLI::Range(1e-12, 1000.0));
  sub->get_option("--linear")->excludes(start);
  sub->add_flag("--validation-loss", command->validation_loss,
                "Take the loss of a validation batch behind each step, not that of the step");
  sub->add_option("--plot", command->plot, "Draw the curve into this file, as SVG");
  sub->add_option("--csv", command->csv, "Write the curve to this file");
  command->recipe =
      add_recipe_options(*sub, "A recipe (.toml) and key=value assignments, e.g. size=256 batch=4", false);
  command->options = add_run_options(*sub);
  sub->footer(
      "Example\n"
      "  dermatome lr-find --data my_isic size=128 batch=16 --plot rates.svg");
  sub->callback([command] {
    catch_signals();
    try {
      run_find(*command);
    } catch (const StoppedBySignal&) {
      set_exit_code(128 + received_signal());
    }
  });
}

}  // namespace dermatome

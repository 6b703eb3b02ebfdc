// dermatome schedule: learning rate and momentum of a recipe, step by step, as CSV and as a picture.
#include <algorithm>

#include "models/builtin.h"
#include "tools/command.h"
#include "tools/data_options.h"
#include "tools/progress.h"
#include "tools/recipe_options.h"
#include "tools/report/schedule_chart.h"
#include "tools/signals.h"
#include "tools/split_options.h"
#include "tools/training/schedule_table.h"

namespace dermatome {
namespace {

struct ScheduleCommand {
  std::shared_ptr<RecipeOptions> recipe;
  std::int64_t steps = 1000;
  std::string csv, plot;
  std::shared_ptr<DataOptions> data;
  std::shared_ptr<SplitOptions> split;
};

bool names_data(const DataOptions& data) {
  return !data.data.empty() || !data.images.empty();
}

// Steps of each stage: as training would take them over the photographs, or as many as asked for.
std::vector<std::int64_t> steps_of(const ScheduleCommand& command, const training::Recipe& recipe) {
  if (!names_data(*command.data)) return std::vector<std::int64_t>(recipe.stages.size(), command.steps);
  Progress progress;
  const auto cache = command.data->open_cache(data::Cache::Access::read_only);
  const SplitData split = split_samples(*command.data, *command.split, recipe.seed, cache.get(), progress);
  const auto photographs = static_cast<std::int64_t>(split.data.train.size());
  std::vector<std::int64_t> steps;
  for (const auto& stage : recipe.stages) steps.push_back(stage.steps_of_epoch(photographs) * stage.epochs);
  return steps;
}

std::string picture_of(const training::ScheduleTable& table, const training::Recipe& recipe) {
  report::ScheduleCurves curves;
  for (const auto& group : table.groups) curves.groups.push_back({.name = group, .rates = {}});
  for (std::size_t step = 0; step < table.rows.size(); ++step) {
    const auto& row = table.rows[step];
    for (std::size_t g = 0; g < row.rates.size(); ++g) curves.groups[g].rates.push_back(row.rates[g]);
    curves.momentum.push_back(row.beta1);
    const auto stage = static_cast<std::size_t>(row.stage);
    if (curves.stages.size() < stage) {
      curves.stages.push_back(
          {.from = static_cast<double>(step),
           .name = fmt::format("{} px, {}", recipe.stages[stage - 1].size, recipe.stages[stage - 1].schedule.name)});
    }
  }
  return report::schedule_picture(curves);
}

void run_schedule(const ScheduleCommand& command) {
  const training::Recipe recipe = command.recipe->recipe(command.recipe->pretrained);
  const auto groups = find_model(recipe.model).groups();
  training::check_groups(recipe, groups);
  const auto is_found = [](const training::StageSettings& stage) { return stage.find_lr; };
  if (std::any_of(recipe.stages.begin(), recipe.stages.end(), is_found))
    Progress().message("rates of stages whose lr is \"find\" are shares of the rate that will be found");
  const auto table = training::schedule_table(recipe, groups, steps_of(command, recipe));
  if (!command.plot.empty()) write_text(command.plot, picture_of(table, recipe));
  if (!command.csv.empty() || command.plot.empty())
    write_text(command.csv.empty() ? "-" : command.csv, training::to_csv(table));
}

}  // namespace

void add_schedule(CLI::App& app) {
  auto* sub = app.add_subcommand("schedule", "Print or draw learning rate and momentum of a recipe, step by step");
  auto command = std::make_shared<ScheduleCommand>();
  command->recipe =
      add_recipe_options(*sub, "A recipe (.toml) and key=value assignments, e.g. schedule=one_cycle lr=3e-4", true);
  auto* steps = sub->add_option("--steps", command->steps, "Steps of every stage, where no photographs are named")
                    ->capture_default_str()
                    ->check(CLI::Range(1, 10000000));
  sub->add_option("--csv", command->csv, "Write the table to this file; else it is printed, unless --plot is given");
  sub->add_option("--plot", command->plot, "Draw it into this file, as SVG");
  command->data = add_data_options(*sub);
  std::vector<CLI::Option*> choosing;
  command->split = add_split_options(*sub, choosing);
  for (const char* option : {"--data", "--images"}) sub->get_option(option)->excludes(steps);
  sub->footer(
      "Examples\n"
      "  dermatome schedule schedule=one_cycle --plot one_cycle.svg\n"
      "  dermatome schedule my.toml --data my_isic > schedule.csv");
  sub->callback([command] {
    catch_signals();
    try {
      run_schedule(*command);
    } catch (const StoppedBySignal&) {
      set_exit_code(128 + received_signal());
    }
  });
}

}  // namespace dermatome
